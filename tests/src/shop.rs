//! The shop of `examples/shop`: its resources, its capacity, and the metrics that a load on it makes.

use std::collections::BTreeMap;
use std::fmt;

use headroom_aws::sdk::Aws;
use headroom_core::series::Series;
use jiff::{SignedDuration, Timestamp};

use crate::deploy::deploy;
use crate::seed::{Metric, Value, publish};
use crate::server::Server;
use crate::{Result, root};

/// At a load of 1, so many units run at their targets.
const WEB_AT_ONE: f64 = 18.0;
const API_AT_ONE: f64 = 12.0;
const READS_AT_ONE: f64 = 900.0;
const WRITES_AT_ONE: f64 = 260.0;
/// The targets of examples/shop/platform.yaml.
const CPU_TARGET: f64 = 60.0;
const THROUGHPUT_TARGET: f64 = 0.7;

/// Units of the shop's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Servers.
    pub web: u32,
    /// Tasks.
    pub api: u32,
    /// Read units.
    pub read: u32,
    /// Write units.
    pub write: u32,
}

impl Capacity {
    /// What serves a load at the targets, within the bounds of the platform.
    pub fn at_target(load: f64) -> Capacity {
        let units =
            |at_one: f64, least: u32| headroom_core::units::Units::at_least(load * at_one).0.max(least);
        Capacity {
            web: units(WEB_AT_ONE, 2),
            api: units(API_AT_ONE, 2),
            read: units(READS_AT_ONE / THROUGHPUT_TARGET, 20),
            write: units(WRITES_AT_ONE / THROUGHPUT_TARGET, 10),
        }
    }

    /// Its units by dimension, as the platform of a shop names them.
    pub fn by_dimension(&self, shop: &Shop) -> BTreeMap<String, u32> {
        let Capacity { web, api, read, write } = *self;
        BTreeMap::from([
            (format!("{}/desired", shop.web()), web),
            (format!("{}/desired", shop.api()), api),
            (format!("{}/read", shop.orders()), read),
            (format!("{}/write", shop.orders()), write),
        ])
    }

    /// This capacity with other units for some dimensions.
    #[must_use]
    pub fn with(self, shop: &Shop, targets: &BTreeMap<String, u32>) -> Capacity {
        let of = |resource: String, dimension: &str, units: u32| {
            targets.get(&format!("{resource}/{dimension}")).copied().unwrap_or(units)
        };
        Capacity {
            web: of(shop.web(), "desired", self.web),
            api: of(shop.api(), "desired", self.api),
            read: of(shop.orders(), "read", self.read),
            write: of(shop.orders(), "write", self.write),
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Capacity { web, api, read, write } = self;
        write!(out, "web {web}, api {api}, read {read}, write {write}")
    }
}

/// A shop, by the name that its resources begin with.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The name, also the platform's.
    pub name: String,
}

impl Shop {
    /// A shop of this name.
    pub fn new(name: &str) -> Shop {
        Shop { name: name.to_owned() }
    }

    /// Its platform file, from the example: renamed, and with this health endpoint.
    ///
    /// # Errors
    /// When the example cannot be read.
    pub fn platform(&self, health_url: &str) -> Result<String> {
        let text = std::fs::read_to_string(root().join("examples/shop/platform.yaml"))?;
        let renamed = text.replace("configuration_name: shop", &format!("configuration_name: {}", self.name));
        let renamed = renamed.replace("name: shop-", &format!("name: {}-", self.name));
        let renamed = renamed.replace("cluster: shop-", &format!("cluster: {}-", self.name));
        Ok(renamed.replace("https://shop.example.com/health", health_url))
    }

    /// Creates its resources with this capacity.
    ///
    /// # Errors
    /// When the CLI fails.
    pub async fn create(&self, server: &Server, capacity: Capacity) -> Result<()> {
        let parameters = [
            format!("Name={}", self.name),
            "Subnets=subnet-1,subnet-2".to_owned(),
            "ImageId=ami-12345678".to_owned(),
            format!("WebCapacity={}", capacity.web),
            format!("ApiCapacity={}", capacity.api),
            format!("ReadCapacity={}", capacity.read),
            format!("WriteCapacity={}", capacity.write),
        ];
        let template = root().join("examples/shop/resources.yaml");
        deploy(server, &template, &format!("{}-resources", self.name), &parameters).await
    }

    /// Its capacity as AWS has it now.
    ///
    /// # Errors
    /// When a resource is not there.
    pub async fn capacity(&self, aws: &Aws) -> Result<Capacity> {
        let groups = aws.autoscaling().describe_auto_scaling_groups().auto_scaling_group_names(self.web());
        let groups = groups.send().await?;
        let web = groups
            .auto_scaling_groups()
            .first()
            .and_then(|group| group.desired_capacity())
            .ok_or("no group")?;
        let services =
            aws.ecs().describe_services().cluster(self.cluster()).services(self.api()).send().await?;
        let api = services.services().first().ok_or("no service")?.desired_count();
        let table = aws.dynamodb().describe_table().table_name(self.orders()).send().await?;
        let units = table.table().and_then(|table| table.provisioned_throughput()).ok_or("no table")?;
        let (read, write) =
            (units.read_capacity_units().unwrap_or(0), units.write_capacity_units().unwrap_or(0));
        Ok(Capacity {
            web: u32::try_from(web)?,
            api: u32::try_from(api)?,
            read: u32::try_from(read)?,
            write: u32::try_from(write)?,
        })
    }

    /// The group's name.
    pub fn web(&self) -> String {
        format!("{}-web", self.name)
    }

    /// The service's name.
    pub fn api(&self) -> String {
        format!("{}-api", self.name)
    }

    /// The cluster's name.
    pub fn cluster(&self) -> String {
        format!("{}-cluster", self.name)
    }

    /// The table's name.
    pub fn orders(&self) -> String {
        format!("{}-orders", self.name)
    }

    /// Publishes what `load` makes of the shop from one time to another, a point each minute as AWS does. `capacity` is what
    /// the shop had; without it, it followed the load.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn seed(
        &self,
        aws: &Aws,
        load: &Series,
        from: Timestamp,
        to: Timestamp,
        capacity: Option<Capacity>,
    ) -> Result<()> {
        let mut values: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        let mut at = from;
        while at < to {
            if let Some(load) = between(load, at) {
                add(&mut values, at, load, capacity.unwrap_or_else(|| Capacity::at_target(load)));
            }
            at += SignedDuration::from_secs(60);
        }
        for (name, metric) in self.metrics() {
            publish(aws, &metric, values.remove(name).unwrap_or_default()).await?;
        }
        Ok(())
    }

    fn metrics(&self) -> [(&'static str, Metric); 5] {
        let metric = |namespace, name, dimensions| Metric { namespace, name, dimensions };
        let group = vec![("AutoScalingGroupName", self.web())];
        let service = vec![("ClusterName", self.cluster()), ("ServiceName", self.api())];
        let table = vec![("TableName", self.orders())];
        [
            ("web", metric("AWS/EC2", "CPUUtilization", group.clone())),
            ("servers", metric("AWS/AutoScaling", "GroupInServiceCapacity", group)),
            ("api", metric("AWS/ECS", "CPUUtilization", service)),
            ("read", metric("AWS/DynamoDB", "ConsumedReadCapacityUnits", table.clone())),
            ("write", metric("AWS/DynamoDB", "ConsumedWriteCapacityUnits", table)),
        ]
    }
}

/// The load at a minute, on the line between the steps around it.
fn between(load: &Series, at: Timestamp) -> Option<f64> {
    let step_s = i64::from(load.step_s());
    let now = load.at(at)?;
    let next = load.at(at + SignedDuration::from_secs(step_s)).unwrap_or(now);
    let passed_s = (at.as_second() - load.start().as_second()).rem_euclid(step_s);
    Some(now + (next - now) * f64::from(u32::try_from(passed_s).ok()?) / f64::from(load.step_s()))
}

/// Adds the values of one minute: utilisation of what there was, and what was consumed.
fn add(values: &mut BTreeMap<&'static str, Vec<Value>>, at: Timestamp, load: f64, had: Capacity) {
    let mut add = |name: &'static str, mean: f64, samples: f64| {
        values.entry(name).or_default().push(Value { at, mean, samples });
    };
    let (web, api) = (f64::from(had.web), f64::from(had.api));
    let percent = |at_one: f64, units: f64| (CPU_TARGET * load * at_one / units).min(100.0);
    add("web", percent(WEB_AT_ONE, web), web);
    add("servers", web, 1.0);
    add("api", percent(API_AT_ONE, api), api);
    add("read", load * READS_AT_ONE * 60.0, 1.0);
    add("write", load * WRITES_AT_ONE * 60.0, 1.0);
}
