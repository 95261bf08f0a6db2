//! Deployment with the user's own tools: the AWS CLI, against the local AWS.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tokio::process::Command;

use crate::server::Server;
use crate::{Result, root, tool};

/// The bucket that packages and large configurations go to.
pub const BUCKET: &str = "headroom-artifacts";

/// Runs the AWS CLI and returns what it printed.
///
/// # Errors
/// With what it said, when it fails.
pub async fn aws(server: &Server, arguments: &[&str]) -> Result<String> {
    let output = Command::new(tool("aws"))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", &server.folder)
        .envs(server.variables())
        .current_dir(root())
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("aws {} failed: {}", arguments.join(" "), said.trim()).into())
}

/// A template with its code in the bucket, ready to be deployed any number of times.
///
/// # Errors
/// When the functions are not built, or the CLI fails.
pub async fn package(server: &Server, template: &Path) -> Result<PathBuf> {
    aws(server, &["s3", "mb", &format!("s3://{BUCKET}")]).await?;
    let (template, packaged) = (template.to_string_lossy(), server.folder.join("packaged.yaml"));
    let output = packaged.to_string_lossy();
    let arguments = ["cloudformation", "package", "--template-file", &template, "--s3-bucket", BUCKET];
    aws(server, &[&arguments[..], &["--output-template-file", &output]].concat()).await?;
    Ok(packaged)
}

/// The functions, as cargo and the template name them.
pub const FUNCTIONS: [&str; 5] = ["collect-metrics", "forecast", "decide", "execute", "health-check"];

/// The folder in which cargo puts the binaries of the build that the running program belongs to: programs of tests and
/// examples lie in a folder of it.
///
/// # Errors
/// When the program does not know where it lies.
pub fn built() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder.ok_or("the running program lies in no folder of cargo's")?.to_owned())
}

/// The template with the functions that lie in `built`, as cargo has just built them: nothing is built once for this
/// and once more for that. Template and functions are put into `folder`.
///
/// # Errors
/// When a function is not built, or a file cannot be read or written.
pub fn template_of(built: &Path, folder: &Path) -> Result<PathBuf> {
    for function in FUNCTIONS {
        let package = folder.join("lambda").join(function);
        std::fs::create_dir_all(&package)?;
        let binary = built.join(function);
        std::fs::copy(&binary, package.join("bootstrap")).map_err(|error| {
            format!("{}: {error}; `make demo` and `make test` build it", binary.display())
        })?;
    }
    let text = std::fs::read_to_string(root().join("template.yaml"))?;
    let text = text.replace("CodeUri: target/lambda/", &format!("CodeUri: {}/lambda/", folder.display()));
    let machine = root().join("statemachine/scaling.asl.json");
    let text = text.replace(
        "DefinitionUri: statemachine/scaling.asl.json",
        &format!("DefinitionUri: {}", machine.display()),
    );
    let template = folder.join("template.yaml");
    std::fs::write(&template, text)?;
    Ok(template)
}

/// Deploys a template as a stack. Parameters are `NAME=VALUE`.
///
/// # Errors
/// When the CLI fails; the events of the stack say why.
pub async fn deploy(server: &Server, template: &Path, stack: &str, parameters: &[String]) -> Result<()> {
    let template = template.to_string_lossy();
    let mut arguments = vec!["cloudformation", "deploy", "--template-file", &template, "--stack-name", stack];
    arguments.extend(["--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]);
    if !parameters.is_empty() {
        arguments.push("--parameter-overrides");
        arguments.extend(parameters.iter().map(String::as_str));
    }
    match aws(server, &arguments).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error}\n{}", failures(server, stack).await).into()),
    }
}

async fn failures(server: &Server, stack: &str) -> String {
    let query = "StackEvents[?contains(ResourceStatus,'FAILED')].[LogicalResourceId,ResourceStatusReason]";
    let arguments = ["cloudformation", "describe-stack-events", "--stack-name", stack, "--query", query];
    aws(server, &[&arguments[..], &["--output", "text"]].concat()).await.unwrap_or_default()
}

/// Deploys Headroom for a platform; answers the ARN of its state machine.
///
/// # Errors
/// When the CLI fails.
pub async fn deploy_headroom(server: &Server, packaged: &Path, platform: &str) -> Result<String> {
    let parameters = [
        format!("Platform={platform}"),
        format!("Architecture={}", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }),
        format!("ConfigBucket={BUCKET}"),
        "ProbeLoopback=true".to_owned(),
        // Cycles are started by hand here, so that each can be watched.
        "ScheduleState=DISABLED".to_owned(),
    ];
    let stack = format!("headroom-{platform}");
    deploy(server, packaged, &stack, &parameters).await?;
    output(server, &stack, "StateMachineArn").await
}

/// An output of a stack.
///
/// # Errors
/// When the CLI fails, or the stack has no such output.
pub async fn output(server: &Server, stack: &str, key: &str) -> Result<String> {
    let described = aws(server, &["cloudformation", "describe-stacks", "--stack-name", stack]).await?;
    let described: Json = serde_json::from_str(&described)?;
    let outputs =
        described.pointer("/Stacks/0/Outputs").and_then(Json::as_array).ok_or("the stack has no outputs")?;
    let found = outputs.iter().find(|output| output.get("OutputKey").is_some_and(|name| name == key));
    let value = found.and_then(|output| output.get("OutputValue")?.as_str());
    Ok(value.ok_or_else(|| format!("the stack has no {key}"))?.to_owned())
}
