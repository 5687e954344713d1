"""Log files that others have published.

``LEGACY``: Amazon CloudFront Developer Guide, "Configuring and Using Standard Logs", the example file (edition in the
repository awsdocs/amazon-cloudfront-developer-guide, doc_source/AccessLogs.md), under CC BY-SA 4.0; the browser's name
is shortened. ``V2_JSON``: a line of standard logging v2 as a public test of another reader has it, with the host
replaced; numbers are text. ``TRANSFORMED``: Amazon CloudWatch Logs User Guide, "parseCloudfront", where they are
numbers.
"""

FIELDS = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) "
    "cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken "
    "x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
    "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    "sc-range-start sc-range-end"
)

_HIT = (
    "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\t"
    "Mozilla/5.0%20(Windows%20NT%2010.0)\t-\t-\tHit\t{}\td111111abcdef8.cloudfront.net\thttps\t23\t0.001\t-\t"
    "TLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\ttext/html\t78\t-\t-"
)
_ERROR = (
    "2019-12-13\t{}\tSEA19-C{}\t900\t192.0.2.200\tGET\td111111abcdef8.cloudfront.net\t{}\t502\t{}\t{}\t-\t-\t"
    "Error\t{}\twww.example.com\thttp\t{}\t{}\t-\t-\t-\tError\tHTTP/1.1\t-\t-\t{}\t{}\tOriginDnsError\ttext/html\t"
    "507\t-\t-"
)
LEGACY = "\n".join(
    [
        "#Version: 1.0",
        f"#Fields: {FIELDS}",
        _HIT.format("SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ=="),
        _HIT.format("k6WGMNkEzR5BEM_SaF47gjtX9zBDO2m349OY2an0QPEaUum1ZOLrow=="),
        _HIT.format("f37nTMVvnKvV2ZSvEsivup_c2kZ7VXzYdjC-GUQZ5qNs-89BlWazbw==") + "\t",
        _ERROR.format(
            *("22:36:27", 1, "/favicon.ico", "http://www.example.com/", "Mozilla/5.0%20(Windows%20NT%2010.0)"),
            *("1pkpNfBQ39sYMnjjUQjmH2w1wdJnbHYTbag21o_3OfcQgPzdL2RSSQ==", 675, "0.102", 25260, "0.102"),
        ),
        _ERROR.format(
            *("22:36:26", 1, "/", "-", "Mozilla/5.0%20(Windows%20NT%2010.0)"),
            *("3AqrZGCnF_g0-5KOvfA7c9XLcf4YGvMFSeFdIetR1N_2y8jSis8Zxg==", 735, "0.107", 3802, "0.107"),
        ),
        _ERROR.format(
            *("22:37:02", 2, "/", "-", "curl/7.55.1"),
            *("kBkDzGnceVtWHqSCqBUqtA_cEs2T3tFUBbnBNkB9El_uVRhHgcZfcw==", 387, "0.103", 12644, "0.103"),
        ),
        "",
    ]
).encode()

V2_JSON = (
    b'{"date":"2026-04-04","time":"12:57:53","x-edge-location":"SFO53-P7","sc-bytes":"1068","c-ip":"192.0.2.27",'
    b'"cs-method":"GET","cs(Host)":"d111111abcdef8.cloudfront.net","cs-uri-stem":"/feed.xml","sc-status":"304",'
    b'"cs(Referer)":"-","cs(User-Agent)":"Feedly/1.0","cs-uri-query":"-","cs(Cookie)":"-","x-edge-result-type":"Hit",'
    b'"x-edge-request-id":"VqkomJQiWUvU0bQu33T0","x-host-header":"www.example.com","cs-protocol":"https",'
    b'"cs-bytes":"336","time-taken":"0.001","x-forwarded-for":"-","ssl-protocol":"TLSv1.3",'
    b'"ssl-cipher":"TLS_AES_128_GCM_SHA256","x-edge-response-result-type":"Hit","cs-protocol-version":"HTTP/1.1",'
    b'"fle-status":"-","fle-encrypted-fields":"-","c-port":"19103","time-to-first-byte":"0.001",'
    b'"x-edge-detailed-result-type":"Hit","sc-content-type":"-","sc-content-len":"-","sc-range-start":"-",'
    b'"sc-range-end":"-","c-country":"US"}\n'
)

TRANSFORMED = (
    b'{"date":"2019-12-04","time":"21:02:31","x-edge-location":"LAX1","sc-bytes":392,"c-ip":"192.0.2.24",'
    b'"cs-method":"GET","cs(Host)":"d111111abcdef8.cloudfront.net","cs-uri-stem":"/index.html","sc-status":200,'
    b'"cs(Referer)":"-","cs(User-Agent)":"Mozilla/5.0 (Windows NT 10.0)","cs-uri-query":"-","cs(Cookie)":"-",'
    b'"x-edge-result-type":"Hit","x-edge-request-id":"SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==",'
    b'"x-host-header":"d111111abcdef8.cloudfront.net","cs-protocol":"https","cs-bytes":23,"time-taken":0.001,'
    b'"x-forwarded-for":"-","ssl-protocol":"TLSv1.2","ssl-cipher":"ECDHE-RSA-AES128-GCM-SHA256",'
    b'"x-edge-response-result-type":"Hit","cs-protocol-version":"HTTP/2.0","fle-status":"-",'
    b'"fle-encrypted-fields":"-","c-port":11040,"time-to-first-byte":0.001,"x-edge-detailed-result-type":"Hit",'
    b'"sc-content-type":"text/html","sc-content-len":78,"sc-range-start":"-","sc-range-end":"-"}\n'
)
