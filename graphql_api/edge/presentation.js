// Says how a browser is to take and keep a file. A CloudFront Function for viewer responses, runtime cloudfront-js-2.0.
// CloudFront runs it for no status of 400 or more, so no refusal is kept: a link that is not valid yet opens later.
//
// What lies at an address never changes, so a browser need not ask for it again as long as it has the same link.
const KEEP = 'private, max-age=86400, immutable'; // seconds; an object that says something else is not contradicted
const INERT = /^$/; // filled in: the types in which a browser runs nothing
const SANDBOX = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'";

function handler(event) {
    const response = event.response;
    const headers = response.headers;
    headers['x-content-type-options'] = { value: 'nosniff' };
    if (headers['cache-control'] === undefined) {
        headers['cache-control'] = { value: KEEP };
    }
    const type = headers['content-type'];
    // An answer without a type has no bytes either: with 304 a browser goes on with the policy that it has kept.
    if (type !== undefined && !INERT.test(type.value.split(';')[0].trim().toLowerCase())) {
        headers['content-security-policy'] = { value: SANDBOX };
    }
    return response;
}
