//! The page, and what stands in its place.

use crate::process::Setup;

#[test]
fn a_browser_gets_the_page_if_it_was_built_in_and_a_program_a_text() {
    let gateway = Setup::new().serve();
    let text = gateway.ask("GET /", &[], "");
    assert_eq!(
        (text.status, text.header("content-type")),
        (200, Some("text/plain; charset=utf-8"))
    );
    assert!(text.body.contains("/api/docs"));
    let mut client = gateway.client();
    client.send("GET /", &["Accept: text/html,*/*"], "");
    let page = client.head();
    assert_eq!(page.status, 200);
    if page.header("content-encoding") == Some("gzip") {
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"));
        assert_eq!(page.header("cache-control"), Some("no-cache"));
    }
    assert_eq!(gateway.ask("GET /assets/nothing.js", &[], "").status, 404);
    assert_eq!(
        gateway.ask("GET /api/v1/status", &[], "").header("cache-control"),
        Some("no-store")
    );
}
