//! Prices that the size of a unit tells: list prices of us-east-1, as those of the kinds are.

/// A vCPU and a GB an hour on x86 and on arm64: us-east-1, Linux, <https://aws.amazon.com/fargate/pricing/>, November 2026.
const FARGATE_USD: [(f64, f64); 2] = [(0.040_48, 0.004_445), (0.032_38, 0.003_56)];
/// A GB of provisioned concurrency an hour: us-east-1, x86, <https://aws.amazon.com/lambda/pricing/>, November 2026.
const LAMBDA_GB_USD: f64 = 0.015;

/// A task on Fargate, by its CPU (1,024 are one) and its memory in MB.
pub fn fargate_task(cpu: u32, memory_mb: u32, is_arm: bool) -> (f64, String) {
    let [x86, arm] = FARGATE_USD;
    let (vcpu_usd, gb_usd) = if is_arm { arm } else { x86 };
    let (vcpus, gb) = (f64::from(cpu) / 1_024.0, f64::from(memory_mb) / 1_024.0);
    let on = if is_arm { "arm64" } else { "x86" };
    (vcpus * vcpu_usd + gb * gb_usd, format!("{vcpus} vCPU and {gb} GB on Fargate ({on}), us-east-1"))
}

/// An execution of provisioned concurrency, by the memory in MB.
pub fn provisioned_execution(memory_mb: u32) -> (f64, String) {
    let gb = f64::from(memory_mb) / 1_024.0;
    (gb * LAMBDA_GB_USD, format!("provisioned concurrency with {memory_mb} MB, us-east-1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_their_price() {
        let near = |(usd, _): (f64, String), expected: f64| assert!((usd - expected).abs() < 1e-9, "{usd}");
        near(fargate_task(1_024, 2_048, false), 0.049_37);
        near(fargate_task(256, 512, true), 0.009_875);
        near(provisioned_execution(512), 0.007_5);
        assert_eq!(fargate_task(256, 512, false).1, "0.25 vCPU and 0.5 GB on Fargate (x86), us-east-1");
    }
}
