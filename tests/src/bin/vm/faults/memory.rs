//! Memory runs out.

use anyhow::Result;

use super::{ENGINE, FAILED, Row, answer, answered, break_it, told};
use crate::guest::{Guest, MODEL};

pub(super) fn out_of_memory(guest: &mut Guest) -> Result<Row> {
    let limit = |bytes: &str| format!("systemctl set-property --runtime {ENGINE} MemoryMax={bytes}");
    let (since, begin) = break_it(
        guest,
        &format!(
            "systemctl set-property --runtime {ENGINE} MemorySwapMax=0; {}",
            limit("16M")
        ),
    )?;
    let refused = answer(guest, MODEL).err();
    let noticed = told(guest, FAILED, since);
    guest.sudo(&limit("80%"))?;
    guest.sudo(&format!(
        "systemctl set-property --runtime {ENGINE} MemorySwapMax=infinity"
    ))?;
    let answered = answered(guest, begin)?;
    Ok(Row {
        noticed_by: "systemd, hearthd counts it",
        noticed: Some(noticed?),
        answered: Some(answered),
        note: match refused {
            Some(error) => format!("the limit was taken away; until then: {error:#}"),
            None => "the limit was taken away".to_owned(),
        },
        ..Row::default()
    })
}
