//! How each push service says that it is busy.

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use webpush::{Answer, PushService, Signal};

type Headers = &'static [(&'static str, &'static str)];

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a time")
}

/// What an answer says about the service's load.
fn signal(service: PushService, status: u16, headers: Headers) -> Signal {
    let header = |&(name, value): &(&'static str, &'static str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let answer = Answer::read(service, status, &headers, b"", now());
    Signal::of(&answer, now())
}

fn busy_for(seconds: i64) -> Signal {
    Signal::Busy(Some(now() + SignedDuration::from_secs(seconds)))
}

#[test]
fn each_service_complains_in_its_own_words() {
    use PushService::{Apple, Fcm, Mozilla, Wns};
    use Signal::{Busy, Served, Unclear};
    let date: Headers = &[("retry-after", "Sun, 01 Mar 2026 12:02:00 GMT")];
    // These two are about one subscriber's channel, not the service.
    let throttled: Headers = &[("x-wns-status", "channelthrottled")];
    let dropped: Headers = &[("x-wns-status", "dropped")];
    let table: [(PushService, u16, Headers, Signal); 12] = [
        (Mozilla, 201, &[], Served),
        (Mozilla, 410, &[], Served),
        (Fcm, 429, &[], Busy(None)),
        (Fcm, 429, &[("retry-after", "30")], busy_for(30)),
        (Mozilla, 503, date, busy_for(120)),
        (
            Wns,
            406,
            &[("x-wns-continue-after", "7200")],
            busy_for(7200),
        ),
        (Mozilla, 406, &[], Unclear),
        (Wns, 200, throttled, Unclear),
        (Wns, 200, dropped, Unclear),
        (Wns, 200, &[("x-wns-status", "received")], Served),
        (Apple, 500, &[], Unclear),
        (Apple, 403, &[], Unclear),
    ];
    for (service, status, headers, said) in table {
        let signal = signal(service, status, headers);
        assert_eq!(signal, said, "{service:?} {status} {headers:?}");
    }
}
