// Refuses links that have been revoked. A CloudFront Function for viewer requests, runtime cloudfront-js-2.0, with a
// KeyValueStore beside it. Whether a signature is good, CloudFront itself has to find.
//
// A link says rv=<number>.<mark>.<mark>, with up to 16 marks, inside what is signed. The store has a number for each
// mark that was revoked; the link is dead if one of these is larger than its own. A link without rv was signed by a
// service that could not revoke; one whose rv makes no sense was not signed at all.
//
// A bundle is opened by one signature for all below a path, which binds no parameter. So the path itself says it, as
// /b/<id>.<number>.<mark>.<mark>/, and it is taken out here: the cache and the origin know /b/<id>/ only, whatever the
// link says. Where a path says nothing, its number is 0, and its only mark is the end of the id.
import cf from 'cloudfront';

const FAILURE = 'refuse'; // what becomes of a link when the store cannot be read: 'refuse' or 'allow'
const RV = /^(0|[1-9][0-9]{0,15})((?:\.[A-Za-z0-9_-]{12}){1,16})$/;
// What no entry can be called is not let through: nothing escaped, no dots that lead elsewhere.
const BUNDLE = /^\/b\/([0-9a-z]{14}([0-9a-z]{12}))(?:\.([^/]*))?((?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+)$/;
// What CloudFront would match with a behaviour in another form than it is read here. No key of ours has any of it.
const OTHER_FORM = /%(2[de]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5f|7e)|\/\.\.?(\/|$)/i;
const NUMBER = /^[1-9][0-9]{0,15}$/;

const MESSAGES = {
    LinkRevoked: 'This link has been revoked',
    NoSuchEntry: 'No link leads here',
    RevocationUnknown: 'It is not known whether this link has been revoked',
};

function refusal(status, why) {
    return {
        statusCode: status,
        statusDescription: status === 403 ? 'Forbidden' : 'Service Unavailable',
        headers: {
            'cache-control': { value: 'no-store' },
            'content-type': { value: 'text/xml' },
        },
        body: '<?xml version="1.0" encoding="UTF-8"?><Error><Code>' + why + '</Code><Message>' + MESSAGES[why] +
            '</Message></Error>',
    };
}

function read(rv) {
    const said = RV.exec(rv);
    return said === null ? null : { own: Number(said[1]), marks: said[2].slice(1).split('.') };
}

// What this request can be revoked by, and the number that its marks may have; null if it cannot have been signed.
function named(request) {
    const rv = request.querystring.rv;
    if (rv === undefined) {
        return { own: 0, marks: [] };
    }
    return rv.multiValue === undefined ? read(rv.value) : null;
}

// The same of a bundle, whose request goes on without it.
function namedByPath(request) {
    const bundle = BUNDLE.exec(request.uri);
    if (bundle === null) {
        return null;
    }
    request.uri = '/b/' + bundle[1] + bundle[4];
    return bundle[3] === undefined ? { own: 0, marks: [bundle[2]] } : read(bundle[3]);
}

async function handler(event) {
    const request = event.request;
    if (OTHER_FORM.test(request.uri)) {
        return refusal(403, 'NoSuchEntry');
    }
    const isBundle = request.uri.startsWith('/b/');
    const said = isBundle ? namedByPath(request) : named(request);
    if (said === null) {
        return refusal(403, isBundle ? 'NoSuchEntry' : 'LinkRevoked');
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
