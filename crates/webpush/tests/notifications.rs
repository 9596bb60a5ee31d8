//! Declarative notifications: Safari shows this payload by itself, and every service worker can read it.

use serde_json::{Value, json};
use webpush::Notification;

/// The smallest notification, with the members of `more`.
fn notification(more: Value) -> Value {
    let mut all = json!({"title": "Train 9:42", "navigate": "https://pushcast.dev/trains/942"});
    let members = all.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    all
}

fn refusal(value: &Value) -> (String, &'static str) {
    let error = Notification::from_json(value).expect_err(&value.to_string());
    assert_eq!(
        error.to_string(),
        format!("{} {}", error.field, error.reason)
    );
    (error.field, error.reason)
}

#[test]
fn every_good_one_is_passed_on_as_it_stands() {
    let good = [
        json!({}),
        json!({"body": "", "tag": "t", "lang": "de-CH", "icon": "/i.png", "image": "/m.png", "badge": "b.png"}),
        json!({"dir": "auto"}),
        json!({"dir": "ltr"}),
        json!({"dir": "rtl", "silent": true, "requireInteraction": false, "renotify": true, "tag": "t"}),
        json!({"timestamp": 1_772_366_400_000_u64}),
        json!({"vibrate": 200}),
        json!({"vibrate": [200, 100, 200]}),
        json!({"vibrate": []}),
        json!({"data": null}),
        json!({"data": {"any": [1, "thing"]}}),
        json!({"navigate": "http://127.0.0.1:8080/"}),
        json!({"actions": []}),
        json!({"actions": [
            {"action": "track", "title": "Where is it?", "navigate": "https://pushcast.dev/map", "icon": "/i.png"},
            {"action": "", "title": "Later", "navigate": "https://pushcast.dev/later"},
        ]}),
        json!({"of_a_later_draft": 1}),
    ];
    for more in good {
        let value = notification(more);
        let checked = Notification::from_json(&value).unwrap_or_else(|error| panic!("{error}"));
        let payload: Value = serde_json::from_slice(&checked.to_payload(None, None)).unwrap();
        assert_eq!(payload, json!({"web_push": 8030, "notification": value}));
    }
}

#[test]
fn the_two_members_beside_it_stand_beside_it() {
    let value = notification(json!({}));
    let checked = Notification::from_json(&value).unwrap();
    let payload = |badge, mutable| -> Value {
        serde_json::from_slice(&checked.to_payload(badge, mutable)).unwrap()
    };
    assert_eq!(
        payload(Some(3), Some(true)),
        json!({"web_push": 8030, "notification": value, "app_badge": 3, "mutable": true})
    );
    assert_eq!(
        payload(Some(0), Some(false)),
        json!({"web_push": 8030, "notification": value, "app_badge": 0, "mutable": false})
    );
}

/// Members that are wrong, and the name of each.
fn bad_members() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"title": null}), "notification.title"),
        (json!({"title": ""}), "notification.title"),
        (json!({"title": 7}), "notification.title"),
        (json!({"navigate": null}), "notification.navigate"),
        (json!({"navigate": ""}), "notification.navigate"),
        (json!({"navigate": "/trains"}), "notification.navigate"),
        (json!({"navigate": "pushcast.dev"}), "notification.navigate"),
        (
            json!({"navigate": "javascript:alert(1)"}),
            "notification.navigate",
        ),
        (
            json!({"navigate": ["https://pushcast.dev"]}),
            "notification.navigate",
        ),
        (json!({"body": 7}), "notification.body"),
        (json!({"tag": true}), "notification.tag"),
        (json!({"lang": []}), "notification.lang"),
        (json!({"icon": {}}), "notification.icon"),
        (json!({"image": 1}), "notification.image"),
        (json!({"badge": 1}), "notification.badge"),
        (json!({"dir": "up"}), "notification.dir"),
        (json!({"dir": null}), "notification.dir"),
        (json!({"silent": "true"}), "notification.silent"),
        (
            json!({"requireInteraction": 1}),
            "notification.requireInteraction",
        ),
        (json!({"renotify": null}), "notification.renotify"),
        (json!({"renotify": true}), "notification.renotify"),
        (
            json!({"renotify": true, "tag": ""}),
            "notification.renotify",
        ),
        (
            json!({"silent": true, "vibrate": [200]}),
            "notification.vibrate",
        ),
        (json!({"timestamp": "now"}), "notification.timestamp"),
        (json!({"timestamp": -1}), "notification.timestamp"),
        (json!({"timestamp": 1.5}), "notification.timestamp"),
        (json!({"vibrate": "long"}), "notification.vibrate"),
        (json!({"vibrate": [1, -1]}), "notification.vibrate"),
        (json!({"actions": {}}), "notification.actions"),
    ]
}

/// Actions that are wrong, and the name of each member.
fn bad_actions() -> Vec<(Value, &'static str)> {
    let action = |more: Value| json!({"actions": [{"action": "a", "title": "t", "navigate": "https://a.dev"}, more]});
    vec![
        (action(json!("a")), "notification.actions[1]"),
        (
            action(json!({"action": "a", "navigate": "https://a.dev"})),
            "notification.actions[1].title",
        ),
        (
            action(json!({"title": "t", "navigate": "https://a.dev"})),
            "notification.actions[1].action",
        ),
        (
            action(json!({"title": "t", "action": "a"})),
            "notification.actions[1].navigate",
        ),
        (
            action(json!({"title": "t", "action": "a", "navigate": "https://a.dev", "icon": 1})),
            "notification.actions[1].icon",
        ),
    ]
}

#[test]
fn a_refusal_names_the_member_that_is_wrong() {
    for (more, field) in bad_members().into_iter().chain(bad_actions()) {
        assert_eq!(refusal(&notification(more)).0, field);
    }
    for value in [json!(null), json!("title"), json!([]), json!(7)] {
        assert_eq!(
            refusal(&value),
            ("notification".to_owned(), "must be an object")
        );
    }
    assert_eq!(
        refusal(&json!({"navigate": "https://a.dev"})).0,
        "notification.title"
    );
    assert_eq!(refusal(&json!({"title": "t"})).0, "notification.navigate");
}

#[test]
fn members_of_older_drafts_are_refused_and_say_what_to_write() {
    for name in ["default_action_url", "url"] {
        let value = notification(json!({name: "https://pushcast.dev"}));
        let reason = "is of an older draft: write navigate";
        assert_eq!(refusal(&value), (format!("notification.{name}"), reason));
    }
    let (field, reason) = refusal(&notification(json!({"options": {"body": "b"}})));
    assert_eq!(field, "notification.options");
    assert!(reason.contains("beside title"), "{reason}");
}
