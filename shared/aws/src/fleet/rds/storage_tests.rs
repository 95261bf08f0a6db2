//! Storage of RDS instances as AWS answers.

use aws_sdk_rds::error::ErrorMetadata;
use aws_sdk_rds::operation::modify_db_instance::{ModifyDBInstanceError, ModifyDbInstanceOutput};
use aws_sdk_rds::types::PendingModifiedValues;
use aws_sdk_rds::types::builders::DbInstanceBuilder;
use aws_smithy_mocks::{Rule, mock};
use headroom_core::name::DimensionKey;
use headroom_core::observe::{Busy, Capacity, Observed};
use headroom_core::platform::Mode;
use headroom_core::units::Units;

use super::super::testing::{platform, target, units_of};
use super::storage::{observe, set};
use super::testing::{clients, describes, metrics};
use super::*;

const STORAGE: &str = "{type: RDS_STORAGE, name: orders, min_capacity: 100, max_capacity: 1000}";

fn instance(status: &str) -> DbInstanceBuilder {
    let instance = DbInstance::builder().db_instance_identifier("orders").db_instance_status(status);
    instance.engine("postgres").allocated_storage(100).storage_type("gp3").iops(3_000)
}

async fn seen(instances: Vec<DbInstance>) -> Observed<Capacity> {
    let platform = platform(STORAGE);
    let clients = clients(&[&describes(instances)], metrics("", &[]));
    let observed = observe(&clients, &[target(&platform, Mode::Desired)]).await;
    observed[&"orders/storage".parse::<DimensionKey>().unwrap()].clone()
}

async fn known(instance: DbInstanceBuilder) -> Capacity {
    seen(vec![instance.build()]).await.known().cloned().unwrap()
}

#[tokio::test]
async fn what_is_allocated_is_seen_with_how_far_rds_may_grow_it() {
    let capacity = known(instance("available").max_allocated_storage(400)).await;
    assert_eq!((capacity.set, capacity.ready, &capacity.busy), (Units(100), Units(100), &None));
    assert_eq!(capacity.aws_max, Some(Units(400)));
    assert_eq!(known(instance("available")).await.aws_max, None, "it does not grow by itself");
}

#[tokio::test]
async fn what_grows_is_ordered_until_it_is_there_and_then_optimised() {
    let growing = PendingModifiedValues::builder().allocated_storage(120).build();
    let capacity = known(instance("modifying").pending_modified_values(growing)).await;
    assert_eq!((capacity.set, capacity.ready), (Units(120), Units(100)));
    assert_eq!(capacity.busy, Some(Busy::Locked("the instance is modifying".into())));
    for optimising in [
        instance("storage-optimization").allocated_storage(120),
        instance("available").allocated_storage(120).storage_operation_status("Optimizing"),
    ] {
        let capacity = known(optimising).await;
        assert_eq!((capacity.set, capacity.ready), (Units(120), Units(120)));
        assert!(matches!(&capacity.busy, Some(Busy::Held(why)) if why.contains("optimised")), "{capacity:?}");
    }
}

#[tokio::test]
async fn changes_that_wait_for_the_maintenance_window_are_not_brought_on() {
    let pending = PendingModifiedValues::builder().db_instance_class("db.r6g.xlarge").build();
    let capacity = known(instance("available").pending_modified_values(pending)).await;
    assert!(matches!(&capacity.busy, Some(Busy::Held(why)) if why.contains("maintenance window")));
    let none = PendingModifiedValues::builder().build();
    assert_eq!(known(instance("available").pending_modified_values(none)).await.busy, None);
}

#[tokio::test]
async fn what_is_gone_or_of_a_cluster_is_unknown() {
    assert_eq!(seen(Vec::new()).await, Observed::Unknown("there is no DB instance orders".into()));
    let member = seen(vec![instance("available").db_cluster_identifier("shop").build()]).await;
    assert!(matches!(&member, Observed::Unknown(why) if why.contains("its cluster's")), "{member:?}");
}

async fn grown(instance: DbInstanceBuilder, modify: &Rule, units: u32) -> Result<(), AwsError> {
    let platform = platform(STORAGE);
    let clients = clients(&[&describes(vec![instance.build()]), modify], metrics("", &[]));
    let resource = platform.resources().next().unwrap().1;
    set(&clients, resource, &units_of(&[("orders/storage", units)])).await
}

fn modifies(gib: i32, iops: Option<i32>) -> Rule {
    mock!(Client::modify_db_instance)
        .match_requests(move |request| {
            request.db_instance_identifier() == Some("orders")
                && request.allocated_storage() == Some(gib)
                && request.iops() == iops
                && request.apply_immediately() == Some(true)
        })
        .then_output(|| ModifyDbInstanceOutput::builder().build())
}

#[tokio::test]
async fn storage_grows_with_the_iops_that_aws_wants_named() {
    for (storage, engine, (had, now), gib, named) in [
        ("io2", "postgres", (100, 4_000), 120, Some(4_000)),
        ("gp2", "postgres", (100, 300), 120, None),
        ("gp3", "postgres", (100, 3_000), 399, None),
        ("gp3", "postgres", (300, 3_000), 400, Some(12_000)),
        ("gp3", "mysql", (500, 16_000), 600, Some(16_000)),
        ("gp3", "oracle-ee", (100, 3_000), 200, Some(12_000)),
        ("gp3", "sqlserver-se", (100, 5_000), 120, Some(5_000)),
    ] {
        let instance = instance("available").storage_type(storage).engine(engine);
        let modify = modifies(i32::try_from(gib).unwrap(), named);
        grown(instance.allocated_storage(had).iops(now), &modify, gib).await.unwrap();
        assert_eq!(modify.num_calls(), 1, "{storage} of {engine} to {gib}");
    }
}

#[tokio::test]
async fn no_smaller_storage_is_asked_for() {
    let modify = modifies(80, None);
    let refused = grown(instance("available"), &modify, 80).await.unwrap_err();
    assert_eq!((refused.kind, modify.num_calls()), (ErrorKind::Invalid, 0));
    assert!(refused.to_string().contains("no way to make storage smaller"), "{refused}");
}

#[tokio::test]
async fn refusals_are_told_apart_and_no_change_is_sent_twice() {
    let soon = "You can't currently modify the storage of this DB instance because the previous storage change is being \
                optimized. Storage optimization can take several hours.";
    for (code, message, kind) in [
        ("InvalidParameterCombination", soon, ErrorKind::Stale),
        ("InvalidDBInstanceState", "is not in available state", ErrorKind::Stale),
        ("StorageQuotaExceeded", "", ErrorKind::Limit),
        ("InvalidParameterValue", "", ErrorKind::Invalid),
        ("AccessDenied", "", ErrorKind::Denied),
    ] {
        let modify = mock!(Client::modify_db_instance).then_error(move || {
            ModifyDBInstanceError::generic(ErrorMetadata::builder().code(code).message(message).build())
        });
        let error = grown(instance("available"), &modify, 120).await.unwrap_err();
        assert_eq!((error.kind, modify.num_calls()), (kind, 1), "{message}");
    }
}
