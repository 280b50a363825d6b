//! `hearth status`, `models`, `token`, `tls`, `power`, `thermal`, `memory` and `engine`.

use crate::command::{Local, end};

const TOKEN: &str = r#"{"id":"ab12","name":"desk","role":"chat","created":"2026-01-01T00:00:00Z"}"#;

#[test]
fn tokens_are_made_listed_and_revoked() {
    let local = Local::new();
    let child = local.start(&["token", "new", "desk", "--role", "read"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("post /api/v1/tokens "));
    assert_eq!(call.json(), serde_json::json!({"name": "desk", "role": "read"}));
    call.answer("201 Created", &TOKEN.replacen('{', r#"{"secret":"hearth_s","#, 1));
    let ended = end(child);
    assert_eq!(ended.stdout, "hearth_s\n", "only the token, for use in scripts");

    let child = local.start(&["token", "list"]);
    local
        .gateway
        .next()
        .answer("200 OK", &format!(r#"{{"tokens":[{TOKEN}]}}"#));
    let shown = end(child).stdout;
    assert!(
        shown.contains("ab12") && shown.contains("desk") && !shown.contains('\u{1b}'),
        "{shown:?}"
    );

    let child = local.start(&["token", "show", "ab12"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("get /api/v1/tokens/ab12 "));
    call.answer("200 OK", TOKEN);
    let shown = end(child).stdout;
    assert!(shown.contains("Role         chat\n"), "{shown}");

    let child = local.start(&["token", "revoke", "ab12"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("delete /api/v1/tokens/ab12 "));
    call.answer("200 OK", &TOKEN.replacen('{', r#"{"note":"none left","#, 1));
    let ended = end(child);
    assert!(ended.stdout.contains("no longer valid") && ended.stderr.contains("none left"));
}

#[test]
fn each_table_has_its_json() {
    let models = r#"{"object":"list","data":[{"id":"m","object":"model","created":0,"owned_by":"hearth"}]}"#;
    let status = r#"{"hostname":"h","version":"1","uptime_seconds":1.0,"fingerprint":"AB:CD","capabilities":null,"sample":null,
        "supervision":null,"agent_problem":"gone","engine":null}"#;
    let tokens = format!(r#"{{"tokens":[{TOKEN}]}}"#);
    let table = [
        (&["models"][..], models),
        (&["status"], status),
        (&["token", "list"], &tokens),
        (&["token", "show", "ab12"], TOKEN),
        (&["power"], POWER),
        (&["power", "release", "3"], POWER),
        (&["thermal", "show"], THERMAL),
        (&["memory"], MEMORY),
        (&["engine", "stop"], HELD),
        (&["engine", "limits"], LIMITS),
        (&["tls"], TLS),
    ];
    for (arguments, json) in table {
        let local = Local::new();
        let child = local.start(&[arguments, &["--json"]].concat());
        local.gateway.next().answer("200 OK", json);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&end(child).stdout), parse(json));
    }
}

const POWER: &str = r#"{"profile":"balanced","effective_profile":"balanced","performance_degraded":"","holds":[],
    "firmware_profile":"generic/unknown","engine":null,"engine_limits":{"cpu_quota_percent":null,"slots":null,
    "stopped":false},"policies":[],"boost_switch":null,"boost":null,"platform_profile":null,"on_battery":null,
    "package_watts":null,"foreign_writers":[],"reaction_median_usec":null}"#;
const THERMAL: &str = r#"{"target":80000,"assumed":45000,"hottest":"acpitz 0","slope_millicelsius_per_second":0,
    "critical":100000,"rung":"free","clock_cap":null,"sensors":[],"target_set":null,"target_default":80000,
    "cooling":[],"steps":[],"warnings":[]}"#;
const MEMORY: &str = r#"{"used":209715200,"parts":null,"goal":{"aim":120000000,"limit":200000000},
    "reclaim":{"state":"at_goal","asked":0,"yielded":0},
    "pressure":{"level":"none","context":null,"seen":{"some":0.0,"full":0.0,"available":90.0},"wake_at":9},
    "at_usec":7,"page_size":4096,"meminfo":{"mem_total":2147483648,"mem_free":null,"mem_available":1937768448,"cached":null,"slab":null,"swap_total":null,"swap_free":null,"buffers":null,
    "swap_cached":null,"active_file":null,"inactive_file":null,"anon_pages":null,"mapped":null,"shmem":null,
    "k_reclaimable":null,"s_reclaimable":null,"s_unreclaim":null,"kernel_stack":null,"page_tables":null,
    "sec_page_tables":null,"percpu":null,"vmalloc_used":null,"zswap":null,"zswapped":null},"memory_zones":[],
    "zram":[],"cgroups":[],"warnings":[]}"#;

/// A command, the head of the request that it makes, its body, the answer, and what is then shown.
type Asked<'a> = (&'a [&'a str], &'a str, &'a str, &'a str, &'a str);

fn is_asked_and_shown(table: &[Asked<'_>]) {
    for (arguments, head, body, answer, shown) in table {
        let local = Local::new();
        let child = local.start(arguments);
        let call = local.gateway.next();
        assert!(call.head.starts_with(head), "{arguments:?}: {}", call.head);
        assert_eq!(call.body, *body, "{arguments:?}");
        call.answer("200 OK", answer);
        let ended = end(child);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert!(ended.stdout.contains(shown), "{arguments:?}: {}", ended.stdout);
        assert!(!ended.stdout.contains('\u{1b}'), "no colour in a pipe");
    }
}

#[test]
fn power_is_asked_for_and_changed() {
    let hold = r#"{"id":3,"profile":"performance","reason":"a build","holder":"desk","until_usec":1}"#;
    let body = r#"{"profile":"performance","reason":"a build","seconds":5400}"#;
    is_asked_and_shown(&[
        (&["power"][..], "get /api/v1/power ", "", POWER, "balanced"),
        (&["power", "show"], "get /api/v1/power ", "", POWER, "balanced"),
        (
            &["power", "set", "balanced"],
            "put /api/v1/power ",
            r#"{"profile":"balanced"}"#,
            POWER,
            "balanced",
        ),
        (
            &[
                "power",
                "hold",
                "performance",
                "--reason",
                "a build",
                "--for",
                "1h30m",
            ],
            "post /api/v1/power/holds ",
            body,
            hold,
            "performance is held for 1 h 30 min; \"hearth power release 3\" ends it",
        ),
        (
            &["power", "release", "3"],
            "delete /api/v1/power/holds/3 ",
            "",
            POWER,
            "balanced",
        ),
    ]);
}

#[test]
fn heat_and_memory_are_asked_for_and_a_target_is_set() {
    is_asked_and_shown(&[
        (
            &["thermal"],
            "get /api/v1/thermal ",
            "",
            THERMAL,
            "45.0 °C by acpitz 0",
        ),
        (
            &["memory"],
            "get /api/v1/memory ",
            "",
            MEMORY,
            "200.0 MiB of 2.0 GiB",
        ),
        (
            &["thermal", "set", "72.5"],
            "put /api/v1/thermal ",
            r#"{"target":72500}"#,
            THERMAL,
            "80.0 °C",
        ),
        (
            &["thermal", "reset"],
            "put /api/v1/thermal ",
            r#"{"target":null}"#,
            THERMAL,
            "80.0 °C",
        ),
    ]);
}

const HELD: &str = r#"{"unit":null,"failures":[],"quarantined":[],"fallback":null,
    "held_since":"2026-01-02T03:04:05Z"}"#;
const LIMITS: &str = r#"{"chosen":{"memory_high":null,"memory_max":3221225472,"cpu_weight":null,"allowed_cpus":[1]},
    "in_force":{"memory_high":null,"memory_max":3221225472,"cpu_weight":null,"allowed_cpus":[1]},
    "own":{"memory_high":null,"memory_max":4294967296,"cpu_weight":null,"allowed_cpus":null}}"#;

#[test]
fn the_engine_is_ordered_and_what_is_shown_is_why_it_does_not_run() {
    for (job, shown) in [
        ("start", "the engine runs\n"),
        (
            "stop",
            "the engine is stopped; \"hearth engine start\" starts it\n",
        ),
        ("restart", "the engine runs anew\n"),
    ] {
        let local = Local::new();
        let child = local.start(&["engine", job]);
        let call = local.gateway.next();
        assert!(
            call.head.starts_with(&format!("post /api/v1/engine/{job} ")),
            "{}",
            call.head
        );
        call.answer("200 OK", HELD);
        assert_eq!(end(child).stdout, shown);
    }
    let status = format!(
        r#"{{"hostname":"h","version":"1","uptime_seconds":1.0,"fingerprint":"AB:CD","capabilities":null,"sample":null,
        "supervision":{HELD},"agent_problem":null,"engine":null}}"#
    );
    let local = Local::new();
    let child = local.start(&["engine"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("get /api/v1/status "), "{}", call.head);
    call.answer("200 OK", &status);
    let shown = end(child).stdout;
    assert!(
        shown.contains("stopped by an administrator at 2026-01-02T03:04:05Z"),
        "{shown}"
    );
}

#[test]
fn a_limit_is_changed_beside_those_that_were_chosen_before() {
    let local = Local::new();
    let child = local.start(&["engine", "limit", "--memory-high", "2.5G", "--cpus", "0,2-3"]);
    local.gateway.next().write(&format!(
        "HTTP/1.1 200 OK\r\netag: \"7\"\r\ncontent-length: {}\r\n\r\n{LIMITS}",
        LIMITS.len()
    ));
    let call = local.gateway.next();
    assert!(
        call.head.starts_with("put /api/v1/engine/limits "),
        "{}",
        call.head
    );
    assert!(call.head.contains("\r\nif-match: \"7\"\r\n"), "{}", call.head);
    let chosen = serde_json::json!({"memory_high": 5_u64 << 29, "memory_max": 3_u64 << 30, "cpu_weight": null,
        "allowed_cpus": [0, 2, 3]});
    let body = serde_json::json!({"chosen": chosen, "beyond_unit": false});
    assert_eq!(call.json(), body);
    call.answer("200 OK", LIMITS);
    let shown = end(child).stdout;
    assert!(
        shown.contains("UNIT'S OWN") && shown.contains("4.0 GiB"),
        "{shown}"
    );
}

#[test]
fn how_long_a_hold_lasts_is_told_by_the_appliances_own_clock() {
    let hold =
        r#""holds":[{"id":3,"profile":"performance","reason":"r","holder":"desk","until_usec":7261000000}]"#;
    let status = r#"{"hostname":"h","version":"1","uptime_seconds":61.0,"fingerprint":"AB:CD","capabilities":null,"sample":null,
        "agent_problem":null,"engine":null}"#;
    let local = Local::new();
    let child = local.start(&["power"]);
    local
        .gateway
        .next()
        .answer("200 OK", &POWER.replace(r#""holds":[]"#, hold));
    local.gateway.next().answer("200 OK", status);
    let shown = end(child).stdout;
    assert!(shown.contains("in 2 h 0 min"), "{shown}");
}

#[test]
fn what_no_hold_no_target_and_no_limit_can_be_is_wrong_usage() {
    for arguments in [
        &["power", "hold", "balanced", "--reason", "x"][..],
        &["power", "hold", "performance"],
        &["power", "hold", "performance", "--reason", "x", "--for", "soon"],
        &["power", "set", "fast"],
        &["power", "release", "-1"],
        &["thermal", "set", "warm"],
        &["engine", "limit"],
        &["engine", "limit", "--memory-max", "much"],
        &["engine", "limit", "--cpu-weight", "0"],
        &["engine", "limit", "--beyond-unit"],
        &["engine", "limit", "--reset", "everything"],
    ] {
        let ended = end(Local::new().start(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn metrics_are_printed_as_they_are() {
    let local = Local::new();
    let child = local.start(&["metrics"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("get /metrics "), "{}", call.head);
    call.answer("200 OK", "# TYPE hearth_up gauge\nhearth_up 1\n");
    assert_eq!(end(child).stdout, "# TYPE hearth_up gauge\nhearth_up 1\n");
}

#[test]
fn status_asks_the_engine_only_on_demand() {
    let status = r#"{"hostname":"h","version":"1","uptime_seconds":61.0,"fingerprint":"AB:CD","capabilities":null,"sample":null,
        "agent_problem":"gone","engine":{"status":"ok","model":"m","queued":0,"active":1}}"#;
    let local = Local::new();
    for (arguments, path) in [
        (&["status"][..], "get /api/v1/status "),
        (&["status", "--engine"], "get /api/v1/status?engine=true "),
    ] {
        let child = local.start(arguments);
        let call = local.gateway.next();
        assert!(call.head.starts_with(path), "{}", call.head);
        call.answer("200 OK", status);
        let shown = end(child).stdout;
        assert!(
            shown.contains("up 1 min") && shown.contains("ready, m, 1 answering"),
            "{shown}"
        );
    }
}

const TLS: &str = r#"{"fingerprint":"CD:EF","source":"own",
    "certificate":{"sha256":"CD:EF","subject":"CN=a","issuer":"CN=b","names":["a.example"],
        "not_before":"2026-01-01T00:00:00Z","not_after":"2027-01-01T00:00:00Z"},
    "authority":{"sha256":"12","subject":"CN=c","issuer":"CN=c","names":[],
        "not_before":"2020-01-01T00:00:00Z","not_after":"2049-12-31T00:00:00Z"},
    "own_problem":null,"plain_http":false}"#;

#[test]
fn a_certificate_is_installed_with_its_key_and_removed() {
    let local = Local::new();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| local.socket().with_file_name(name));
    std::fs::write(&certificate, "the certificate").unwrap();
    std::fs::write(&key, "the key").unwrap();
    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
    let child = local.start(&["tls", "install", certificate, key]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("put /api/v1/tls/certificate "));
    let sent = serde_json::json!({"certificate": "the certificate", "key": "the key"});
    assert_eq!(call.json(), sent);
    call.answer("200 OK", TLS);
    let ended = end(child);
    assert!(
        ended.stdout.contains("Fingerprint  CD:EF\n") && ended.stdout.contains("your own"),
        "{}",
        ended.stdout
    );

    let child = local.start(&["tls", "remove"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("delete /api/v1/tls/certificate "));
    call.answer("200 OK", TLS);
    assert_eq!(end(child).code, Some(0));

    let child = local.start(&["tls", "plain-http", "on"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("put /api/v1/tls/plain-http "));
    assert_eq!(call.json(), serde_json::json!({"enabled": true}));
    call.answer("200 OK", TLS);
    assert_eq!(end(child).code, Some(0));

    let child = local.start(&["tls", "authority"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("get /ca.crt "));
    call.answer("200 OK", "-----BEGIN CERTIFICATE-----\n");
    assert_eq!(end(child).stdout, "-----BEGIN CERTIFICATE-----\n");

    for (files, told) in [
        ([certificate, "/nonexistent"], "/nonexistent"),
        (["/dev/zero", key], "larger than 64 KiB"),
    ] {
        let ended = end(local.start(&["tls", "install", files[0], files[1]]));
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}
