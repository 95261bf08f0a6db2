//! What IAM is asked for each adapter: the names of its actions, by what they are for.

use super::Adapter;

/// What an adapter may call: actions of IAM, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// To see capacity: collect-metrics, execute and health-check.
    pub see: &'static [&'static str],
    /// To look closely before acting: execute.
    pub look: &'static [&'static str],
    /// To find native scaling policies and target groups: collect-metrics.
    pub find: &'static [&'static str],
    /// To set capacity, of what carries the platform's tag: execute.
    pub set: &'static [&'static str],
    /// To judge what stands behind a load balancer: health-check.
    pub judge: &'static [&'static str],
}

impl Permissions {
    const NONE: Permissions = Permissions { see: &[], look: &[], find: &[], set: &[], judge: &[] };

    /// EC2 Auto Scaling.
    pub const AUTO_SCALING: Permissions = Permissions {
        see: &[
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeScalingActivities",
            "autoscaling:DescribeWarmPool",
        ],
        look: &["autoscaling:DescribeInstanceRefreshes"],
        find: &["autoscaling:DescribePolicies"],
        set: &[
            "autoscaling:DeleteWarmPool",
            "autoscaling:PutWarmPool",
            "autoscaling:SetDesiredCapacity",
            "autoscaling:UpdateAutoScalingGroup",
        ],
        ..Permissions::NONE
    };
    /// ECS.
    pub const ECS: Permissions =
        Permissions { see: &["ecs:DescribeServices"], set: &["ecs:UpdateService"], ..Permissions::NONE };
    /// EKS. The groups of its nodes are EC2 Auto Scaling's.
    pub const EKS: Permissions = Permissions {
        see: &["eks:DescribeNodegroup"],
        set: &["eks:UpdateNodegroupConfig"],
        ..Permissions::NONE
    };
    /// DynamoDB.
    pub const DYNAMODB: Permissions =
        Permissions { see: &["dynamodb:DescribeTable"], set: &["dynamodb:UpdateTable"], ..Permissions::NONE };
    /// Kinesis Data Streams.
    pub const KINESIS: Permissions = Permissions {
        see: &["kinesis:DescribeStreamSummary"],
        set: &["kinesis:UpdateShardCount"],
        ..Permissions::NONE
    };
    /// Lambda.
    pub const LAMBDA: Permissions = Permissions {
        see: &[
            "lambda:GetAccountSettings",
            "lambda:GetFunctionConcurrency",
            "lambda:GetProvisionedConcurrencyConfig",
        ],
        set: &[
            "lambda:DeleteProvisionedConcurrencyConfig",
            "lambda:PutFunctionConcurrency",
            "lambda:PutProvisionedConcurrencyConfig",
        ],
        ..Permissions::NONE
    };
    /// ElastiCache.
    pub const ELASTICACHE: Permissions = Permissions {
        see: &["elasticache:DescribeReplicationGroups"],
        set: &[
            "elasticache:DecreaseReplicaCount",
            "elasticache:IncreaseReplicaCount",
            "elasticache:ModifyReplicationGroupShardConfiguration",
        ],
        ..Permissions::NONE
    };
    /// RDS, for the capacity of Aurora Serverless v2.
    pub const AURORA_SERVERLESS: Permissions =
        Permissions { set: &["rds:ModifyDBCluster"], ..Permissions::OF_DATABASES };
    /// RDS, for readers of Aurora.
    pub const AURORA_REPLICAS: Permissions =
        Permissions { set: &["rds:CreateDBInstance", "rds:DeleteDBInstance"], ..Permissions::OF_DATABASES };
    /// RDS, for read replicas of an instance.
    pub const RDS_READ_REPLICAS: Permissions = Permissions {
        set: &["rds:CreateDBInstanceReadReplica", "rds:DeleteDBInstance"],
        ..Permissions::OF_DATABASES
    };
    /// RDS, for the storage of an instance.
    pub const RDS_STORAGE: Permissions =
        Permissions { set: &["rds:ModifyDBInstance"], ..Permissions::OF_DATABASES };
    /// RDS, whatever is set.
    const OF_DATABASES: Permissions = Permissions {
        see: &["cloudwatch:GetMetricData", "rds:DescribeDBClusters", "rds:DescribeDBInstances"],
        ..Permissions::NONE
    };
    /// SageMaker.
    pub const SAGEMAKER: Permissions = Permissions {
        see: &["sagemaker:DescribeEndpoint"],
        set: &["sagemaker:UpdateEndpointWeightsAndCapacities"],
        ..Permissions::NONE
    };
    /// API Gateway, whose actions are the verbs of HTTP.
    pub const API_GATEWAY: Permissions =
        Permissions { see: &["apigateway:GET"], set: &["apigateway:PATCH"], ..Permissions::NONE };
    /// Application Auto Scaling: floors under native policies, and what it scales in any service.
    pub const SCALABLE_TARGETS: Permissions = Permissions {
        see: &["application-autoscaling:DescribeScalableTargets"],
        find: &["application-autoscaling:DescribeScalingPolicies"],
        set: &["application-autoscaling:RegisterScalableTarget"],
        ..Permissions::NONE
    };
    /// Load balancers in front of groups and services.
    pub const LOAD_BALANCERS: Permissions = Permissions {
        find: &["elasticloadbalancing:DescribeTargetGroups"],
        judge: &[
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        ],
        ..Permissions::NONE
    };

    /// Every adapter's, and the load balancers'.
    pub const ALL: &[Permissions] = &[
        Permissions::AUTO_SCALING,
        Permissions::ECS,
        Permissions::EKS,
        Permissions::DYNAMODB,
        Permissions::KINESIS,
        Permissions::LAMBDA,
        Permissions::ELASTICACHE,
        Permissions::AURORA_SERVERLESS,
        Permissions::AURORA_REPLICAS,
        Permissions::RDS_READ_REPLICAS,
        Permissions::RDS_STORAGE,
        Permissions::SAGEMAKER,
        Permissions::API_GATEWAY,
        Permissions::SCALABLE_TARGETS,
        Permissions::LOAD_BALANCERS,
    ];
}

impl Adapter {
    /// What it may call.
    pub fn permissions(&self) -> Permissions {
        match self {
            Adapter::AuroraReplicas(_) => Permissions::AURORA_REPLICAS,
            Adapter::AuroraServerless { .. } => Permissions::AURORA_SERVERLESS,
            Adapter::AutoScalingGroup => Permissions::AUTO_SCALING,
            Adapter::EcsService { .. } => Permissions::ECS,
            Adapter::EksNodeGroup { .. } => Permissions::EKS,
            Adapter::DynamoDbTable => Permissions::DYNAMODB,
            Adapter::RdsReadReplicas(_) => Permissions::RDS_READ_REPLICAS,
            Adapter::RdsStorage => Permissions::RDS_STORAGE,
            Adapter::KinesisStream => Permissions::KINESIS,
            Adapter::LambdaFunction => Permissions::LAMBDA,
            Adapter::ReplicationGroup => Permissions::ELASTICACHE,
            Adapter::EndpointVariant { .. } => Permissions::SAGEMAKER,
            Adapter::ApiStage { .. } => Permissions::API_GATEWAY,
            Adapter::ScalableTarget => Permissions::SCALABLE_TARGETS,
        }
    }

    /// What it sees with through another adapter, besides the native policies of its dimensions.
    pub fn sees_through(&self) -> &'static [&'static str] {
        match self {
            Adapter::EksNodeGroup { .. } => &["autoscaling:DescribeAutoScalingGroups"],
            _ => &[],
        }
    }
}
