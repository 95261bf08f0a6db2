//! The whole thing on a local AWS, and the rules of state machine and template.

#[cfg(test)]
mod adopt;
#[cfg(test)]
mod balancers;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod cycle;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod large;
#[cfg(test)]
mod local_aws;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod platforms;
#[cfg(test)]
mod random;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod template;
#[cfg(test)]
mod unkind;
