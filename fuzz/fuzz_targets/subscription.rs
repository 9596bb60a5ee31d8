//! A stranger may send anything as a subscription. If our parser accepts it, every URL parser finds a push service in
//! it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webpush::{AllowList, ContentEncoding, Origin, Padding, Subscription, encrypt};

fuzz_target!(|json: &str| {
    let added = Origin::parse("http://127.0.0.1:9301").expect("an origin");
    let allowed = AllowList::new([added]);
    let Ok(subscription) = Subscription::from_json(json, &allowed) else {
        return;
    };
    let endpoint = &subscription.endpoint;
    let text = endpoint.as_str();
    assert!(text.len() <= 2048);
    let (uri, url): (http::Uri, url::Url) = (text.parse().unwrap(), text.parse().unwrap());
    assert_eq!(uri.scheme_str(), Some(url.scheme()));
    assert_eq!(uri.host(), url.host_str());
    assert_eq!(uri.port_u16(), url.port());
    let path_and_query = uri.path_and_query().unwrap().as_str();
    assert!(text.ends_with(path_and_query));

    let host = url.host_str().unwrap();
    let known = url.scheme() == "https"
        && url.port().is_none()
        && AllowList::known_hosts()
            .any(|known| host == known || known.starts_with('.') && host.ends_with(known));
    assert!(known || allowed.added().contains(endpoint.origin()));
    assert_eq!(
        endpoint.to_string().len(),
        endpoint.origin().as_str().len() + "/~12345678".len()
    );

    let sent = encrypt(
        &subscription.keys,
        b"x",
        ContentEncoding::Aes128gcm,
        Padding::None,
    );
    assert_eq!(sent.expect("a key on the curve").body.len(), 104);
});
