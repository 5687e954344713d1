// Signs with Amazon's own package: each of the wishes on standard input, a line of JSON.
import { getSignedCookies, getSignedUrl } from '@aws-sdk/cloudfront-signer';
import { readFileSync } from 'node:fs';

const wishes = JSON.parse(readFileSync(0));
console.log(JSON.stringify(wishes.map(({ how, ...wish }) => (how === 'url' ? getSignedUrl : getSignedCookies)(wish))));
