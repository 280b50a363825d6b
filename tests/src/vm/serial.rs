//! Reading what the guest wrote to its serial port.

/// The first API token on the console, if it is there already.
pub fn token_on(console: &str) -> Option<String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    console.match_indices("hearth_").find_map(|(start, prefix)| {
        let rest = &console[start + prefix.len()..];
        let secret: String = rest.chars().take_while(|c| is_token(*c)).collect();
        (secret.len() == 43).then(|| format!("{prefix}{secret}"))
    })
}

/// A panic of the guest's kernel, if there was one: its first line and whether it is the known one of QEMU.
pub(super) fn panic(console: &str) -> Option<(String, bool)> {
    let line = console
        .lines()
        .find(|line| line.contains("Kernel panic - not syncing"))?;
    Some((line.trim().to_owned(), console.contains("sched_clock_cpu")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_whole_or_not_at_all() {
        let token = format!("hearth_{}", "aB-_4".repeat(8) + "xyz");
        assert_eq!(
            token_on(&format!("ssh hearth_x\r\n  {token}\r\n")),
            Some(token.clone())
        );
        assert_eq!(token_on(&token[..49]), None);
        assert_eq!(token_on("hearth.local"), None);
    }

    #[test]
    fn only_the_text_patching_panic_is_known() {
        let known = "RIP: 0010:sched_clock_cpu+0x12\r\nKernel panic - not syncing: Fatal exception\r\n";
        assert_eq!(
            panic(known),
            Some(("Kernel panic - not syncing: Fatal exception".to_owned(), true))
        );
        let other = "Kernel panic - not syncing: VFS: Unable to mount root fs\n";
        assert_eq!(panic(other).map(|(_, known)| known), Some(false));
        assert_eq!(panic("login: "), None);
    }
}
