use super::*;

#[test]
fn urls_are_https_with_a_host() {
    for good in [
        "https://h",
        "https://h/",
        "HTTPS://h:6443",
        "https://10.0.0.1:6443/path?q=1",
        "https://[2001:db8::1]:6443",
        "https://[::1]",
        "https://h/a%20b",
    ] {
        assert!(is_https_url(good), "{good}");
    }
    for bad in [
        "",
        "h",
        "https:",
        "https://",
        "https:h",
        "http://h",
        "https://h:99999",
        "https://h:x",
        "https://h:",
        "https://:6443",
        "https://u:p@h",
        "https://u@h",
        "https://[::1",
        "https://[x]",
        "https://h#f",
        "https://h h",
        "https://[::1]x",
        "https://%zz",
        "https://h/%2",
        "https://é",
    ] {
        assert!(!is_https_url(bad), "{bad}");
    }
}
