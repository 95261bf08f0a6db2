//! What the metrics that AWS publishes measure, from AWS's own pages: the data that a metric's `kind` is held against.

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Percent of what there is. It falls as units are added.
    Percent,
    /// The same as a number from 0 to 1.
    Share,
    /// A count that AWS divides by the units itself, and gives by `Sum` only.
    CountPerUnit,
    /// A value that AWS divides by the units itself.
    PerUnit,
    /// Every unit publishes its own: by `Sum` it is that of all units, by `Average` that of one, and `SampleCount` counts
    /// the units.
    OfOneUnit,
    /// One sample for each event, or for each part of the whole: only `Sum` says how much there was.
    Count,
    /// A level of the whole, sampled often: by `Sum` it grows with the number of samples.
    Level,
    /// How long something takes or has waited.
    Time,
    /// Work that waits.
    Backlog,
    /// The capacity itself, or what of it is there.
    Capacity,
}

/// The metrics of a page of AWS's documentation.
pub(crate) struct Page {
    namespace: &'static str,
    /// Where AWS says so.
    pub(crate) source: &'static str,
    /// Dimensions that narrow a metric down to one unit.
    single: &'static [&'static str],
    /// Names of metrics; one that begins with `*` stands for every name that ends so and is not written elsewhere.
    metrics: &'static [(Nature, &'static [&'static str])],
}

impl Page {
    /// Whether a metric of these dimensions is that of one unit, whatever the statistic.
    pub(crate) fn is_of_one<'a>(&self, mut dimensions: impl Iterator<Item = &'a str>) -> bool {
        dimensions.any(|dimension| self.single.contains(&dimension))
    }

    fn nature(&self, metric: &str, fits: fn(&str, &str) -> bool) -> Option<Nature> {
        let named = self.metrics.iter().find(|(_, names)| names.iter().any(|name| fits(name, metric)));
        named.map(|(nature, _)| *nature)
    }
}

/// What a metric of AWS measures, and the page that says so; `None` for metrics that are not known.
pub(crate) fn known(namespace: &str, metric: &str) -> Option<(Nature, &'static Page)> {
    let exact = |name: &str, metric: &str| name == metric;
    let ending = |name: &str, metric: &str| name.strip_prefix('*').is_some_and(|end| metric.ends_with(end));
    let pages = || PAGES.iter().filter(|page| page.namespace == namespace);
    let find = |fits: fn(&str, &str) -> bool| {
        pages().find_map(|page| page.nature(metric, fits).map(|nature| (nature, page)))
    };
    find(exact).or_else(|| find(ending))
}

const PAGES: &[Page] = &[
    Page {
        namespace: "AWS/EC2",
        source: "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html",
        single: &["InstanceId"],
        metrics: &[
            (Nature::Percent, &["CPUUtilization", "EBSIOBalance%", "EBSByteBalance%"]),
            (
                Nature::OfOneUnit,
                &[
                    "NetworkIn",
                    "NetworkOut",
                    "NetworkPacketsIn",
                    "NetworkPacketsOut",
                    "DiskReadOps",
                    "DiskWriteOps",
                    "DiskReadBytes",
                    "DiskWriteBytes",
                    "EBSReadOps",
                    "EBSWriteOps",
                    "EBSReadBytes",
                    "EBSWriteBytes",
                    "CPUCreditUsage",
                    "MetadataNoToken",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/AutoScaling",
        source: "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html",
        single: &[],
        metrics: &[(
            Nature::Capacity,
            &[
                "GroupMinSize",
                "GroupMaxSize",
                "WarmPoolMinSize",
                "*Capacity",
                "*Instances",
                "*CapacityForecast",
            ],
        )],
    },
    Page {
        namespace: "AWS/ECS",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html",
        single: &[],
        metrics: &[
            (Nature::Percent, &["*Utilization", "*Reservation"]),
            (Nature::PerUnit, &["RequestCountPerTarget"]),
            (Nature::Time, &["TargetResponseTime"]),
        ],
    },
    Page {
        namespace: "ECS/ContainerInsights",
        source: "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html",
        single: &["TaskId", "InstanceId", "ContainerInstanceId"],
        metrics: &[
            (
                Nature::Capacity,
                &[
                    "DesiredTaskCount",
                    "RunningTaskCount",
                    "PendingTaskCount",
                    "TaskCount",
                    "TaskSetCount",
                    "DeploymentCount",
                    "ServiceCount",
                    "ContainerInstanceCount",
                    "CpuReserved",
                    "MemoryReserved",
                    "EphemeralStorageReserved",
                    "instance_cpu_limit",
                    "instance_memory_limit",
                ],
            ),
            (Nature::Percent, &["*Utilization", "*_utilization", "*_reserved_capacity"]),
            (
                Nature::OfOneUnit,
                &[
                    "CpuUtilized",
                    "MemoryUtilized",
                    "EphemeralStorageUtilized",
                    "NetworkRxBytes",
                    "NetworkTxBytes",
                    "StorageReadBytes",
                    "StorageWriteBytes",
                    "instance_cpu_usage_total",
                    "instance_memory_working_set",
                    "instance_network_total_bytes",
                    "instance_number_of_running_tasks",
                ],
            ),
        ],
    },
    Page {
        namespace: "ContainerInsights",
        source: "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-EKS.html",
        single: &["NodeName", "InstanceId", "PodName"],
        metrics: &[
            (
                Nature::Capacity,
                &["cluster_node_count", "cluster_failed_node_count", "node_cpu_limit", "node_memory_limit"],
            ),
            (Nature::Percent, &["*_utilization", "*_utilization_over_pod_limit", "*_reserved_capacity"]),
            (
                Nature::OfOneUnit,
                &[
                    "node_cpu_usage_total",
                    "node_memory_working_set",
                    "node_network_total_bytes",
                    "node_number_of_running_pods",
                    "node_number_of_running_containers",
                    "pod_network_rx_bytes",
                    "pod_network_tx_bytes",
                ],
            ),
        ],
    },
    Page {
        namespace: "CWAgent",
        source: "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/metrics-collected-by-CloudWatch-agent.html",
        single: &["InstanceId", "host"],
        metrics: &[(
            Nature::Percent,
            &[
                "*_percent",
                "cpu_usage_active",
                "cpu_usage_idle",
                "cpu_usage_iowait",
                "cpu_usage_system",
                "cpu_usage_user",
                "Memory % Committed Bytes In Use",
                "Processor % Idle Time",
                "Processor % Processor Time",
                "Processor % User Time",
            ],
        )],
    },
    Page {
        namespace: "AWS/ApplicationELB",
        source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html",
        single: &[],
        metrics: &[
            (Nature::CountPerUnit, &["RequestCountPerTarget"]),
            (Nature::Time, &["TargetResponseTime", "ELBAuthLatency"]),
            (Nature::Capacity, &["HealthyHostCount", "UnHealthyHostCount", "AnomalousHostCount"]),
            (
                Nature::Count,
                &[
                    "RequestCount",
                    "IPv6RequestCount",
                    "GrpcRequestCount",
                    "NonStickyRequestCount",
                    "ActiveConnectionCount",
                    "NewConnectionCount",
                    "RejectedConnectionCount",
                    "*ErrorCount",
                    "*ProcessedBytes",
                    "*XX_Count",
                    "*_Response_Count",
                    "*_Redirect_Count",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/NetworkELB",
        source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html",
        single: &[],
        metrics: &[
            (
                Nature::Level,
                &["ActiveFlowCount", "ActiveFlowCount_TCP", "ActiveFlowCount_TLS", "ActiveFlowCount_UDP"],
            ),
            (Nature::Capacity, &["HealthyHostCount", "UnHealthyHostCount"]),
            (
                Nature::Count,
                &[
                    "NewFlowCount",
                    "NewFlowCount_TCP",
                    "NewFlowCount_TLS",
                    "NewFlowCount_UDP",
                    "ProcessedBytes",
                    "ProcessedBytes_TCP",
                    "ProcessedBytes_TLS",
                    "ProcessedBytes_UDP",
                    "ProcessedPackets",
                    "*_Reset_Count",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/ELB",
        source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-cloudwatch-metrics.html",
        single: &[],
        metrics: &[
            (Nature::Time, &["Latency"]),
            (Nature::Capacity, &["HealthyHostCount", "UnHealthyHostCount"]),
            (Nature::Backlog, &["SurgeQueueLength"]),
            (Nature::Count, &["RequestCount", "EstimatedProcessedBytes", "SpilloverCount", "*XX"]),
        ],
    },
    Page {
        namespace: "AWS/ApiGateway",
        source: "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html",
        single: &[],
        metrics: &[
            (Nature::Time, &["Latency", "IntegrationLatency"]),
            (Nature::Count, &["Count", "4XXError", "5XXError"]),
        ],
    },
    Page {
        namespace: "AWS/DynamoDB",
        source: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html",
        single: &[],
        metrics: &[
            (Nature::Capacity, &["ProvisionedReadCapacityUnits", "ProvisionedWriteCapacityUnits"]),
            (Nature::Percent, &["*CapacityUtilization", "OnlineIndexPercentageProgress"]),
            (
                Nature::Time,
                &["SuccessfulRequestLatency", "ReplicationLatency", "AgeOfOldestUnreplicatedRecord"],
            ),
            (
                Nature::Count,
                &[
                    "ConsumedReadCapacityUnits",
                    "ConsumedWriteCapacityUnits",
                    "ReadThrottleEvents",
                    "WriteThrottleEvents",
                    "ThrottledRequests",
                    "ConditionalCheckFailedRequests",
                    "ReturnedBytes",
                    "ReturnedItemCount",
                    "ReturnedRecordsCount",
                    "TimeToLiveDeletedItemCount",
                    "TransactionConflict",
                    "SystemErrors",
                    "UserErrors",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/Lambda",
        source: "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
        single: &[],
        metrics: &[
            (Nature::Share, &["ProvisionedConcurrencyUtilization"]),
            (Nature::Time, &["Duration", "PostRuntimeExtensionsDuration", "IteratorAge", "AsyncEventAge"]),
            (Nature::Backlog, &["OffsetLag"]),
            (
                Nature::Level,
                &[
                    "ConcurrentExecutions",
                    "ProvisionedConcurrentExecutions",
                    "UnreservedConcurrentExecutions",
                    "ClaimedAccountConcurrency",
                ],
            ),
            (
                Nature::Count,
                &[
                    "Invocations",
                    "Errors",
                    "Throttles",
                    "DeadLetterErrors",
                    "DestinationDeliveryFailures",
                    "ProvisionedConcurrencyInvocations",
                    "ProvisionedConcurrencySpilloverInvocations",
                    "AsyncEventsReceived",
                    "AsyncEventsDropped",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/RDS",
        source: "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html",
        single: &["DBInstanceIdentifier"],
        metrics: &[
            (
                Nature::Percent,
                &["CPUUtilization", "ACUUtilization", "BurstBalance", "*Balance%", "*CacheHitRatio"],
            ),
            (
                Nature::Time,
                &[
                    "*Latency",
                    "*LatencyLocalStorage",
                    "*Lag",
                    "AuroraReplicaLagMaximum",
                    "AuroraReplicaLagMinimum",
                ],
            ),
            (Nature::Capacity, &["ServerlessDatabaseCapacity"]),
            (
                Nature::OfOneUnit,
                &[
                    "DatabaseConnections",
                    "Queries",
                    "ReadIOPS",
                    "WriteIOPS",
                    "TempStorageIOPS",
                    "ActiveTransactions",
                    "BlockedTransactions",
                    "ConnectionAttempts",
                    "LoginFailures",
                    "Deadlocks",
                    "CPUCreditUsage",
                    "*Throughput",
                    "*ThroughputLocalStorage",
                    "*IOPSLocalStorage",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/ElastiCache",
        source: "https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.Redis.html",
        single: &["CacheClusterId", "CacheNodeId"],
        metrics: &[
            (
                Nature::Percent,
                &[
                    "CPUUtilization",
                    "EngineCPUUtilization",
                    "*UsagePercentage",
                    "*EvictPercentage",
                    "CacheHitRate",
                ],
            ),
            (Nature::Time, &["*Latency", "ReplicationLag"]),
            (
                Nature::OfOneUnit,
                &[
                    "CurrConnections",
                    "NewConnections",
                    "CurrItems",
                    "CacheHits",
                    "CacheMisses",
                    "Evictions",
                    "Reclaimed",
                    "BytesUsedForCache",
                    "NetworkBytesIn",
                    "NetworkBytesOut",
                    "NetworkPacketsIn",
                    "NetworkPacketsOut",
                    "ReplicationBytes",
                    "*Cmds",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/Kinesis",
        source: "https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html",
        single: &[],
        metrics: &[
            (Nature::Time, &["*.Latency", "*IteratorAgeMilliseconds", "*.MillisBehindLatest"]),
            (
                Nature::Count,
                &[
                    "IncomingBytes",
                    "IncomingRecords",
                    "OutgoingBytes",
                    "OutgoingRecords",
                    "ReadProvisionedThroughputExceeded",
                    "WriteProvisionedThroughputExceeded",
                    "*.Bytes",
                    "*.Records",
                    "*.Success",
                    "*.TotalRecords",
                    "*.SuccessfulRecords",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/SQS",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html",
        single: &[],
        metrics: &[
            (Nature::Time, &["ApproximateAgeOfOldestMessage"]),
            (Nature::Backlog, &["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesDelayed"]),
            (
                Nature::Count,
                &[
                    "NumberOfMessagesSent",
                    "NumberOfMessagesReceived",
                    "NumberOfMessagesDeleted",
                    "NumberOfEmptyReceives",
                    "SentMessageSize",
                ],
            ),
        ],
    },
    Page {
        namespace: "AWS/SageMaker",
        source: "https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html",
        single: &[],
        metrics: &[
            (Nature::CountPerUnit, &["InvocationsPerInstance", "InvocationsPerCopy"]),
            (Nature::PerUnit, &["ApproximateBacklogSizePerInstance", "ConcurrentRequestsPerCopy"]),
            (Nature::Backlog, &["ApproximateBacklogSize"]),
            (Nature::Level, &["ConcurrentRequestsPerModel"]),
            (
                Nature::Time,
                &[
                    "*Latency",
                    "ModelSetupTime",
                    "ModelLoadingWaitTime",
                    "ModelLoadingTime",
                    "ModelDownloadingTime",
                ],
            ),
            (Nature::Count, &["Invocations", "Invocation4XXErrors", "Invocation5XXErrors"]),
        ],
    },
    Page {
        namespace: "/aws/sagemaker/Endpoints",
        source: "https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html",
        single: &[],
        metrics: &[(Nature::Percent, &["*Utilization"]), (Nature::OfOneUnit, &["LoadedModelCount"])],
    },
];

#[cfg(test)]
mod tests;
