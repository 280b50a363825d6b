//! Closes the loop over many plants drawn by lot and prints the worst figures as a Markdown table.
//!
//!     cargo run --release -p control --example closed_loop -- 200

#[path = "../tests/rig/mod.rs"]
mod rig;

fn main() {
    let plants = std::env::args()
        .nth(1)
        .and_then(|argument| argument.parse().ok())
        .unwrap_or(200);
    let table = rig::table::of(plants);
    println!(
        "{plants} plants of each family, drawn by lot; simulated\n\n{}",
        table.markdown
    );
    println!("{} figures beyond their limits", table.broken.len());
}
