//! How the machine is reached, and its clock: through the gateway to hearth-setup, which works on a folder of its own here.

use anyhow::{Context, Result, ensure};
use api::network::{Ipv4, NetworkTrial, NetworkView};
use api::rest::Problem;
use api::system::{Clock, System};
use bytes::Bytes;
use serde_json::json;
use tests::client::{Answer, Client};
use tests::host::{Options, with_stack};

fn put(client: &Client, path: &str, body: &serde_json::Value) -> Result<Answer> {
    client.exchange("PUT", path, Bytes::from(body.to_string()))
}

#[test]
fn a_network_is_tried_shown_and_kept_by_who_confirms_it() -> Result<()> {
    with_stack(&Options::default(), |stack| {
        let admin = stack.admin();
        let shown = admin.get("/api/v1/network")?.expect(200)?;
        let tag = shown.header("etag").context("no ETag")?.to_owned();
        let before: NetworkView = shown.json()?;
        ensure!(
            before.network.ipv4 == Ipv4::Dhcp && before.confirm_by.is_none(),
            "{before:?}"
        );
        let fixed = json!({"hostname": "kitchen", "wifi": null,
            "ipv4": {"method": "static", "address": "10.0.0.2/8", "gateway": "10.0.0.1", "dns": []}});
        let tried: NetworkTrial = put(&admin, "/api/v1/network", &fixed)?.expect(202)?.json()?;
        ensure!(tried.confirm_by.is_some(), "it is not on trial");
        let file = "root/run/systemd/network/80-ethernet.network.d/10-hearth.conf";
        let shown = admin.get("/api/v1/network")?.expect(200)?;
        ensure!(shown.header("etag") != Some(tag.as_str()), "the tag is the same");
        ensure!(
            shown.json::<NetworkView>()?.confirm_by.is_some(),
            "it is not shown as on trial"
        );
        admin
            .exchange("POST", "/api/v1/network/confirm", Bytes::new())?
            .expect(204)?;
        let text = std::fs::read_to_string(stack.folder().join(file))?;
        ensure!(text.contains("Address=10.0.0.2/8"), "{text}");
        let kept: NetworkView = admin.get("/api/v1/network")?.expect(200)?.json()?;
        ensure!(
            kept.confirm_by.is_none() && kept.network.hostname == "kitchen",
            "{kept:?}"
        );
        admin
            .exchange("POST", "/api/v1/network/confirm", Bytes::new())?
            .expect(409)?;
        let bad =
            json!({"hostname": "kitchen", "wifi": null, "ipv4": {"method": "static", "address": "10.0.0.2"}});
        let problem: Problem = put(&admin, "/api/v1/network", &bad)?.expect(422)?.json()?;
        ensure!(problem.detail.starts_with("address: "), "{problem:?}");
        Ok(())
    })
}

#[test]
fn the_clock_has_a_zone_that_there_is() -> Result<()> {
    with_stack(&Options::default(), |stack| {
        let admin = stack.admin();
        let berlin = json!({"timezone": "Europe/Berlin", "ntp": false});
        let set: Clock = put(&admin, "/api/v1/time", &berlin)?.expect(200)?.json()?;
        let shown: Clock = admin.get("/api/v1/time")?.expect(200)?.json()?;
        ensure!(
            (set.timezone.as_str(), shown.timezone.as_str(), shown.ntp)
                == ("Europe/Berlin", "Europe/Berlin", false),
            "{shown:?}"
        );
        let mars = json!({"timezone": "Mars/Base", "ntp": true});
        put(&admin, "/api/v1/time", &mars)?.expect(422)?;
        Ok(())
    })
}

#[test]
fn a_reset_of_a_machine_that_does_not_restart_leaves_all_as_it_is() -> Result<()> {
    with_stack(&Options::default(), |stack| {
        let admin = stack.admin();
        let system: System = admin.get("/api/v1/system")?.expect(200)?.json()?;
        let confirmed = json!({"confirm": system.hostname});
        // There is no systemd on this bus.
        let refused = admin.post("/api/v1/system/factory-reset", &confirmed)?;
        ensure!([502, 503].contains(&refused.status()), "{}", refused.text());
        let flag = stack.folder().join("root/var/lib/hearth/config/factory-reset");
        ensure!(!flag.exists(), "the next start would reset it");
        Ok(())
    })
}
