// Refuses links that have been revoked. A CloudFront Function for viewer requests, runtime cloudfront-js-2.0, with a
// KeyValueStore beside it. It only ever denies: whether a signature is good, CloudFront itself has to find.
//
// A link says rv=<number>.<mark>.<mark>, with up to 16 marks, inside what is signed. The store has a number for each
// mark that was revoked; the link is dead if one of these is larger than its own. A link without rv was signed by a
// service that could not revoke; one whose rv makes no sense was not signed at all.
//
// A bundle is opened by one signature for /b/<id>/*, which binds no parameter. Its mark is the end of its id, and as
// long as the store has it, nothing of the bundle is let through.
import cf from 'cloudfront';

const FAILURE = 'refuse'; // what becomes of a link when the store cannot be read: 'refuse' or 'allow'
const RV = /^(0|[1-9][0-9]{0,15})((?:\.[A-Za-z0-9_-]{12}){1,16})$/;
const BUNDLE = /^\/b\/[0-9a-z]{14}([0-9a-z]{12})\//;
const NUMBER = /^[1-9][0-9]{0,15}$/;

function refusal(status, why) {
    return {
        statusCode: status,
        statusDescription: status === 403 ? 'Forbidden' : 'Service Unavailable',
        headers: {
            'cache-control': { value: 'no-store' },
            'content-type': { value: 'text/xml' },
        },
        body: '<?xml version="1.0" encoding="UTF-8"?><Error><Code>' + why + '</Code><Message>' +
            (status === 403 ? 'This link has been revoked' : 'It is not known whether this link has been revoked') +
            '</Message></Error>',
    };
}

// What this request can be revoked by, and the number that its marks may have; null if it cannot have been signed.
function named(request) {
    if (request.uri.startsWith('/b/')) {
        const bundle = BUNDLE.exec(request.uri);
        return bundle === null ? null : { own: 0, marks: [bundle[1]] };
    }
    const rv = request.querystring.rv;
    if (rv === undefined) {
        return { own: 0, marks: [] };
    }
    const said = rv.multiValue === undefined ? RV.exec(rv.value) : null;
    return said === null ? null : { own: Number(said[1]), marks: said[2].slice(1).split('.') };
}

async function handler(event) {
    const request = event.request;
    const said = named(request);
    if (said === null) {
        return refusal(403, 'LinkRevoked');
    }
    try {
        const store = cf.kvs();
        for (let i = 0; i < said.marks.length; i++) { // one after the other, as CloudFront advises
            const isThere = await store.exists(said.marks[i]); // getting what is not there would be an error
            if (isThere) {
                const number = await store.get(said.marks[i]);
                if (!NUMBER.test(number) || Number(number) > said.own) {
                    return refusal(403, 'LinkRevoked');
                }
            }
        }
    } catch (error) {
        console.log('revocation store: ' + error);
        if (FAILURE !== 'allow') {
            return refusal(503, 'RevocationUnknown');
        }
    }
    return request;
}
