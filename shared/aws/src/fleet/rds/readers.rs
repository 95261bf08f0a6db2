//! Readers of a database, whether an Aurora cluster's or an instance's: which there are, which may go, what the next is called.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbInstance, Tag};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::{Mode, Query, Resource};
use headroom_core::resource::Readers;
use headroom_core::units::{Bounds, Units};
use jiff::Timestamp;

use super::{AVAILABLE, Clients, level, newest};
use crate::error::{AwsError, ErrorKind};
use crate::fleet::{every, unfinished};

/// The tag of readers that Headroom makes; its value names the database.
pub(super) const MADE_FOR: &str = "headroom-reader";
/// The tag that says whose a resource is. The role may make and take away only what carries it.
const PLATFORM: &str = "headroom";
/// A reader serves while its storage is optimised.
const SERVING: [&str; 2] = [AVAILABLE, "storage-optimization"];
const CREATING: &str = "creating";
const DELETING: &str = "deleting";
/// Beginnings of the states of an instance that does not come up: RDS user guide, "Viewing DB instance status".
const FAILED: [&str; 5] =
    ["failed", "incompatible-", "insufficient-capacity", "inaccessible-encryption", "restore-error"];

/// A reader as AWS describes it.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) name: String,
    class: Option<String>,
    status: String,
    /// One that is only being created has no time yet, and is the youngest.
    created_s: i64,
    made_for: Option<String>,
    /// Why its replication does not work, where AWS says so.
    trouble: Option<String>,
}

impl Reader {
    pub(super) fn of(instance: &DbInstance) -> Option<Reader> {
        let troubled = instance.status_infos().iter().rfind(|info| info.normal() == Some(false));
        let trouble = troubled.map(|info| {
            let state = info.status().unwrap_or("in error");
            format!("its replication is {state}: {}", info.message().unwrap_or("AWS does not say why"))
        });
        let tag = |tag: &&Tag| tag.key() == Some(MADE_FOR);
        Some(Reader {
            name: instance.db_instance_identifier()?.to_owned(),
            class: instance.db_instance_class().map(str::to_owned),
            status: instance.db_instance_status().unwrap_or("in an unknown state").to_owned(),
            created_s: instance.instance_create_time().map_or(i64::MAX, |at| at.secs()),
            made_for: instance.tag_list().iter().find(tag).and_then(Tag::value).map(str::to_owned),
            trouble,
        })
    }

    fn is_failed(&self) -> bool {
        FAILED.iter().any(|state| self.status.starts_with(state))
    }

    /// Whether it counts: it is there or on its way.
    fn stands(&self) -> bool {
        self.status != DELETING && !self.is_failed()
    }

    fn is_of(&self, database: &str) -> bool {
        self.made_for.as_deref() == Some(database)
    }
}

/// How far behind some readers are, in milliseconds; nothing for those of which that is not known.
pub(super) type Lags = BTreeMap<String, f64>;

/// The newest lag of readers, by a metric of which one is so many milliseconds. What is negative tells that AWS knows of none.
pub(super) async fn lags(
    clients: &Clients,
    reads: &Result<Reads, AwsError>,
    (metric, ms): (&str, f64),
    now: Timestamp,
) -> Lags {
    let known = reads.as_ref().ok().into_iter().flat_map(BTreeMap::values).flatten();
    let names: Vec<String> = known.flat_map(|read| &read.readers).map(|reader| reader.name.clone()).collect();
    let query = |name: &String| level(metric, ("DBInstanceIdentifier", name), "Average");
    let queries: Vec<Query> = names.iter().map(query).collect();
    let newest = newest(&clients.metrics, &queries, now).await;
    names.into_iter().zip(newest).filter_map(|(name, lag)| Some((name, lag? * ms))).collect()
}

/// Databases with their readers, or why one has none to count, by name.
pub(super) type Reads = BTreeMap<String, Result<Read, String>>;

/// A database with its readers.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) name: String,
    pub(super) readers: Vec<Reader>,
    /// So many AWS allows.
    pub(super) most: u32,
    /// What is in the way of any change.
    pub(super) held: Option<String>,
    /// The instance that is written, which a reader is made like.
    pub(super) like: DbInstance,
    pub(super) tags: Vec<Tag>,
}

impl Read {
    fn standing(&self) -> impl Iterator<Item = &Reader> {
        self.readers.iter().filter(|reader| reader.stands())
    }

    /// Why a reader is not ready; nothing where it is.
    fn not_ready(reader: &Reader, lags: &Lags, lag_max_ms: u32) -> Option<String> {
        let name = &reader.name;
        if !SERVING.contains(&reader.status.as_str()) {
            return Some(format!("{name} is {}", reader.status));
        }
        if let Some(trouble) = &reader.trouble {
            return Some(format!("{name}: {trouble}"));
        }
        let lag_ms = *lags.get(name)?;
        if lag_ms < 0.0 {
            return Some(format!("{name} does not replicate"));
        }
        (f64::from(lag_max_ms) < lag_ms).then(|| format!("{name} is {:.1} s behind", lag_ms / 1_000.0))
    }

    /// What there is of readers. A floor under a native policy moves that policy's bounds and makes no reader.
    pub(super) fn capacity(&self, settings: &Readers, lags: &Lags, floor: Option<Bounds>) -> Capacity {
        let units = |count: usize| Units(u32::try_from(count).unwrap_or(u32::MAX));
        let is_ready = |reader: &&Reader| Read::not_ready(reader, lags, settings.lag_max_ms).is_none();
        let set = units(self.standing().count());
        let ready = units(self.standing().filter(is_ready).count());
        let failed = self.readers.iter().find(|reader| reader.is_failed());
        let foreign = self.standing().filter(|reader| !reader.is_of(&self.name)).count();
        // Readers that are behind are behind because they have much to do; fewer would have more.
        let mut there = self.standing().filter(|reader| reader.status != CREATING);
        let behind = there.find_map(|reader| Read::not_ready(reader, lags, settings.lag_max_ms));
        let capacity = Capacity {
            mode: Mode::Desired,
            set,
            ready,
            busy: self.held.clone().map(Busy::Held).or(behind.map(Busy::ScaleInHeld)),
            failed: failed.map(|reader| format!("reader {} is {}", reader.name, reader.status)),
            aws_min: (!settings.adopted).then(|| units(foreign)),
            aws_max: Some(Units(self.most)),
            ..Capacity::default()
        };
        match floor {
            Some(bounds) => Capacity {
                mode: Mode::Floor,
                set: bounds.min(),
                aws_min: None,
                aws_max: Some(bounds.max()),
                ..capacity
            },
            None => capacity,
        }
    }

    /// What to make and to take away so that there are so many. The call that finds a part of it done does the rest.
    pub(super) fn plan(
        &self,
        settings: &Readers,
        target: Units,
    ) -> Result<(Vec<String>, Vec<String>), String> {
        let wanted = usize::try_from(target.0).unwrap_or(usize::MAX);
        let standing = self.standing().count();
        let failed = self.readers.iter().filter(|reader| reader.is_failed() && reader.is_of(&self.name));
        let mut gone: Vec<String> = failed.map(|reader| reader.name.clone()).collect();
        // A name is taken until its reader is gone altogether.
        let taken = |name: &String| self.readers.iter().any(|reader| reader.name == *name);
        let free = (1..).map(|number| Readers::name(&self.name, number)).filter(|name| !taken(name));
        let made = free.take(wanted.saturating_sub(standing)).collect();
        let surplus = standing.saturating_sub(wanted);
        let mut may_go: Vec<&Reader> =
            self.standing().filter(|reader| settings.adopted || reader.is_of(&self.name)).collect();
        may_go.sort_by_key(|reader| {
            (!reader.is_of(&self.name), Reverse((reader.created_s, reader.name.clone())))
        });
        if may_go.len() < surplus {
            return Err(format!(
                "only {} of {standing} readers were made by Headroom; it takes away no other unless `adopt_readers` is true",
                may_go.len()
            ));
        }
        gone.extend(may_go.into_iter().take(surplus).map(|reader| reader.name.clone()));
        Ok((made, gone))
    }

    /// The class of the next reader: the file's, that of the oldest reader, or that of what is written.
    pub(super) fn next_class(&self, settings: &Readers) -> Option<String> {
        let oldest = self.standing().min_by_key(|reader| reader.created_s);
        let seen =
            oldest.and_then(|reader| reader.class.clone()).or_else(|| self.like.db_instance_class.clone());
        settings.class.clone().or(seen)
    }

    /// The tags of the next reader: ours, and whose the database is.
    pub(super) fn next_tags(&self) -> Vec<Tag> {
        let platform = self.tags.iter().filter(|tag| tag.key() == Some(PLATFORM)).cloned();
        platform.chain([Tag::builder().key(MADE_FOR).value(&self.name).build()]).collect()
    }
}

/// The same for every dimension of a resource, known or not.
pub(super) fn told(
    resource: &Resource,
    seen: Result<Capacity, String>,
) -> Vec<(DimensionKey, Observed<Capacity>)> {
    every(resource, &seen.map_or_else(Observed::Unknown, Observed::Known))
}

/// Joins the calls of one change: what comes after the first must follow when it fails.
pub(super) fn joined(result: Result<(), AwsError>, begun: &mut bool) -> Result<(), AwsError> {
    let result = result.map_err(|error| if *begun { unfinished(error) } else { error });
    *begun = true;
    result
}

/// Whether a reader that is there already is the one that was to be made.
pub(super) async fn made_before(
    clients: &Clients,
    (name, database): (&String, &str),
    error: AwsError,
) -> Result<(), AwsError> {
    if !error.said.starts_with("DBInstanceAlreadyExists") {
        return Err(error);
    }
    let found = super::instances(&clients.rds, "db-instance-id", std::slice::from_ref(name)).await?;
    let mut found = found.iter().filter_map(Reader::of);
    if found.any(|reader| reader.is_of(database)) { Ok(()) } else { Err(error) }
}

/// Takes a reader away. One that is gone, or going, is as it should be.
pub(super) async fn delete(clients: &Clients, name: &str) -> Result<(), AwsError> {
    // AWS asks for this of replicas; what is on them is on their source.
    let request = clients.rds.delete_db_instance().db_instance_identifier(name).skip_final_snapshot(true);
    let sent = request.customize().config_override(once!(aws_sdk_rds)).send().await;
    match sent.map_err(|error| AwsError::of(error, format!("take reader {name} away"))) {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        Err(error) if error.said.contains("already being deleted") => Ok(()),
        sent => sent.map(drop),
    }
}
