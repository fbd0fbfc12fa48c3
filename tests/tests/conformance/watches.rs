//! Watches: order, resource versions, selectors, bookmarks, and history that has run out.

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::context::{Check, Context, checks};

pub(crate) fn checks() -> Vec<Check> {
    checks!["watches":
        a_watch_tells_every_change_in_order,
        a_watch_without_a_version_begins_with_what_is_there,
        a_selector_makes_objects_come_and_go,
        bookmarks_come_before_the_end,
        the_watcher_of_kube_sees_everything,
    ]
}

fn told(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(object) => {
            format!("+{}", object.metadata.name.as_deref().unwrap_or_default())
        }
        WatchEvent::Modified(object) => {
            format!("~{}", object.metadata.name.as_deref().unwrap_or_default())
        }
        WatchEvent::Deleted(object) => {
            format!("-{}", object.metadata.name.as_deref().unwrap_or_default())
        }
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}

async fn take(
    stream: impl Stream<Item = kube::Result<WatchEvent<ConfigMap>>>,
    count: usize,
) -> Vec<String> {
    // Bookmarks may come at any time; the check of bookmarks looks at them.
    let take = stream
        .map_ok(|event| told(&event))
        .try_filter(|event| std::future::ready(event != "bookmark"))
        .take(count)
        .try_collect();
    let patience = tokio::time::timeout(std::time::Duration::from_secs(30), take);
    patience
        .await
        .expect("events within 30 s")
        .expect("a watch")
}

async fn version(context: &Context) -> String {
    let list = context
        .config_maps()
        .list(&ListParams::default().limit(1))
        .await
        .expect("a list");
    list.metadata.resource_version.expect("a version")
}

async fn a_watch_tells_every_change_in_order(context: Context) {
    let api = context.config_maps();
    // Only ours: a real cluster puts its root certificates into every namespace.
    let parameters = WatchParams::default()
        .fields("metadata.name!=kube-root-ca.crt")
        .timeout(60);
    let start = version(&context).await;
    context.config_map("a", "1").await;
    let middle = context
        .config_map("b", "1")
        .await
        .metadata
        .resource_version
        .expect("a version");
    let patch = Patch::Merge(json!({"data": {"key": "2"}}));
    api.patch("a", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    let last = api.get("b").await.expect("there").metadata.resource_version;
    api.delete("b", &DeleteParams::default())
        .await
        .expect("deleted");
    let all = api.watch(&parameters, &start).await.expect("a watch");
    assert_eq!(take(all, 4).await, ["+a", "+b", "~a", "-b"]);
    let later = api.watch(&parameters, &middle).await.expect("a watch");
    assert_eq!(take(later, 2).await, ["~a", "-b"]);
    let events: Vec<WatchEvent<ConfigMap>> = api
        .watch(&parameters, &middle)
        .await
        .expect("a watch")
        .take(2)
        .try_collect()
        .await
        .expect("events");
    let WatchEvent::Deleted(gone) = &events[1] else {
        panic!("{events:?}")
    };
    assert_ne!(
        gone.metadata.resource_version, last,
        "a deletion has a version of its own"
    );
    let resumed = gone.metadata.resource_version.clone().expect("a version");
    context.config_map("c", "1").await;
    let after = api.watch(&parameters, &resumed).await.expect("a watch");
    assert_eq!(take(after, 1).await, ["+c"]);
}

async fn a_watch_without_a_version_begins_with_what_is_there(context: Context) {
    let api = context.config_maps();
    context.config_map("a", "1").await;
    let parameters = WatchParams::default()
        .fields("metadata.name!=kube-root-ca.crt")
        .timeout(60);
    let stream = api.watch(&parameters, "0").await.expect("a watch");
    context.config_map("b", "1").await;
    assert_eq!(take(stream, 2).await, ["+a", "+b"]);
}

async fn a_selector_makes_objects_come_and_go(context: Context) {
    let api = context.config_maps();
    let start = version(&context).await;
    let label = async |value: Option<&str>| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"chosen": value}}}));
        api.patch("a", &PatchParams::default(), &patch)
            .await
            .expect("patched")
    };
    context.config_map("a", "1").await;
    label(Some("yes")).await;
    label(Some("also")).await;
    let left = label(None).await;
    label(Some("again")).await;
    let parameters = WatchParams::default().labels("chosen").timeout(60);
    let stream = api.watch(&parameters, &start).await.expect("a watch");
    let events: Vec<WatchEvent<ConfigMap>> = stream.take(4).try_collect().await.expect("events");
    assert_eq!(
        events.iter().map(told).collect::<Vec<_>>(),
        ["+a", "~a", "-a", "+a"]
    );
    let WatchEvent::Deleted(gone) = &events[2] else {
        panic!("{events:?}")
    };
    assert_eq!(
        gone.metadata.resource_version,
        left.metadata.resource_version
    );
}

async fn bookmarks_come_before_the_end(context: Context) {
    let api = context.config_maps();
    let made = context.config_map("a", "1").await;
    let parameters = WatchParams::default().timeout(4);
    let stream = api
        .watch(&parameters, &version(&context).await)
        .await
        .expect("a watch");
    let events: Vec<WatchEvent<ConfigMap>> = stream.try_collect().await.expect("it ends by itself");
    let bookmark = events.iter().find_map(|event| match event {
        WatchEvent::Bookmark(bookmark) => Some(bookmark.metadata.resource_version.clone()),
        _ => None,
    });
    let number = |version: &str| version.parse::<u64>().expect("a number");
    let made = made.metadata.resource_version.expect("a version");
    assert!(bookmark.is_some_and(|version| number(&version) >= number(&made)));
}

async fn the_watcher_of_kube_sees_everything(context: Context) {
    use kube::runtime::{WatchStreamExt, watcher};
    context.config_map("a", "1").await;
    let config = watcher::Config::default().fields("metadata.name!=kube-root-ca.crt");
    for config in [config.clone(), config.streaming_lists()] {
        let stream = watcher(context.config_maps(), config).applied_objects();
        let mut stream = std::pin::pin!(stream);
        let first = stream.next().await.expect("an event").expect("a watch");
        assert_eq!(first.metadata.name.as_deref(), Some("a"));
        let patch = Patch::Merge(json!({"data": {"key": first.metadata.resource_version}}));
        context
            .config_maps()
            .patch("a", &PatchParams::default(), &patch)
            .await
            .expect("patched");
        let second = stream.next().await.expect("an event").expect("a watch");
        assert_ne!(second.data, first.data);
    }
}
