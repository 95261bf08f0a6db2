//! A few random cycles; `make cycles` runs as many as you like.

use local_aws::random::Run;

use crate::bench::{packaged, server};

#[tokio::test]
async fn random_cycles_end_applied_rolled_back_or_stopped_with_the_alarm_raised() {
    let run = Run { seed: 7, cycles: 8, name: "random" };
    let mut told = String::new();
    let tell = &mut |line: &str| told += &format!("{line}\n");
    let summary = run.run(server().await, packaged().await, tell).await.unwrap();
    assert!(summary.violations.is_empty(), "{told}");
    assert!(summary.came_out.len() > 2, "cycles that all come out alike show little:\n{told}");
}
