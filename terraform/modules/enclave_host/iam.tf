# The host's role. KMS is not in it: the key's own policy names the role, with the measurement as its condition. An
# unconditional right here would be a way around that condition.

locals {
  account = "${data.aws_partition.this.partition}:%s:${data.aws_region.this.id}:${data.aws_caller_identity.this.account_id}"
  arn     = { for service in ["autoscaling", "ec2"] : service => "arn:${format(local.account, service)}" }

  host_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Files"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:${data.aws_partition.this.partition}:s3:::${var.bucket}/blob/*", "arn:${data.aws_partition.this.partition}:s3:::${var.bucket}/manifest/*"]
      },
      {
        Sid      = "GatewayCertificate"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [var.tls_secret_arn]
      },
      {
        Sid       = "AttachTheJournal"
        Effect    = "Allow"
        Action    = ["ec2:AttachVolume"]
        Resource  = ["${local.arn.ec2}:volume/*", "${local.arn.ec2}:instance/*"]
        Condition = { StringEquals = { "aws:ResourceTag/casemate:lease" = [for name in keys(var.leases) : "${var.name}/${name}"] } }
      },
      {
        # AWS has no finer right for it.
        Sid      = "SeeTheVolume"
        Effect   = "Allow"
        Action   = ["ec2:DescribeVolumes"]
        Resource = ["*"]
      },
      {
        Sid      = "EndTheDrain"
        Effect   = "Allow"
        Action   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
        Resource = [for group in values(local.groups) : "${local.arn.autoscaling}:autoScalingGroup:*:autoScalingGroupName/${group}"]
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [for arn in values(var.log_group_arns) : "${arn}:*"]
      },
      {
        # A shell through Session Manager instead of SSH. AWS has no finer rights for an agent's channels, and its ready
        # policy also reads every parameter of the account: hence these five.
        Sid    = "SessionManager"
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ]
        Resource = ["*"]
      },
    ]
  })

  secret_key_policy = var.tls_secret_kms_key_arn == null ? null : jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReadTheCertificate"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [var.tls_secret_kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${data.aws_region.this.id}.amazonaws.com" } }
    }]
  })
}

resource "aws_iam_role" "host" {
  name                 = "${var.name}-host"
  description          = "Enclave hosts of ${var.name}. PCR3 is made of this role's ARN: another name is another measurement."
  max_session_duration = 3600
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "host" {
  name   = "host"
  role   = aws_iam_role.host.id
  policy = local.host_policy
}

resource "aws_iam_role_policy" "secret_key" {
  count = var.tls_secret_kms_key_arn == null ? 0 : 1

  name   = "secret-key"
  role   = aws_iam_role.host.id
  policy = local.secret_key_policy
}

resource "aws_iam_instance_profile" "host" {
  name = "${var.name}-host"
  role = aws_iam_role.host.name
  tags = var.tags
}
