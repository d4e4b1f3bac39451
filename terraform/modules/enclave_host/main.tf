# The enclave's parents: one instance a lease, replaced whole, never mended. The journal's volume can be attached to one
# instance at a time; that, and a group of size one that ends the old before it starts the new, is what keeps two hosts
# from one lease.

data "aws_region" "this" {}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_ec2_instance_type" "this" {
  instance_type = var.instance_type
}

data "aws_subnet" "this" {
  id = var.subnet_id
}

data "aws_route_table" "this" {
  subnet_id = var.subnet_id
}

locals {
  # One thread a core: no sibling thread shares caches with the one that signs, and none delays it.
  cores = data.aws_ec2_instance_type.this.default_cores
  hook  = "drain"
  groups = {
    for name in keys(var.leases) : name => "${var.name}-${name}"
  }
  tags = { for name in keys(var.leases) : name => merge(var.tags, { Name = "${var.name}-${name}", "casemate:lease" = "${var.name}/${name}" }) }
}

resource "aws_security_group" "host" {
  name        = "${var.name}-host"
  description = "Enclave hosts of ${var.name}: the gateway from engines, HTTPS out"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-host" })
}

resource "aws_vpc_security_group_ingress_rule" "gateway" {
  for_each = var.engine_security_group_ids

  security_group_id            = aws_security_group.host.id
  description                  = "The gateway, from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = var.gateway_port
  to_port                      = var.gateway_port
  tags                         = var.tags
}

# Venues change their addresses: the port is what can be said. What may be sent where is the enclave's to decide.
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.host.id
  description       = "Venues and AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_ebs_volume" "journal" {
  # checkov:skip=CKV_AWS_189: no secret is in the journal; AWS's own key encrypts it, and the enclave's key is for credentials only
  # checkov:skip=CKV2_AWS_9: snapshots are the account's backup plan's; the volume leaves one when it is destroyed
  for_each = var.leases

  availability_zone = data.aws_subnet.this.availability_zone
  size              = var.journal_gib
  type              = "gp3"
  encrypted         = true
  final_snapshot    = true
  tags              = merge(local.tags[each.key], { Name = "${local.groups[each.key]}-journal" })

  lifecycle {
    # While the network around it changes, its zone is "known after apply"; a journal is not made anew for that.
    ignore_changes = [availability_zone]

    precondition {
      condition     = !data.aws_subnet.this.map_public_ip_on_launch
      error_message = "The subnet gives its instances public addresses: an enclave host belongs into a private one, and leaves through a NAT gateway."
    }

    precondition {
      condition     = !anytrue([for route in data.aws_route_table.this.routes : startswith(coalesce(route.gateway_id, "none"), "igw-")])
      error_message = "The subnet is public: its route table leads to an internet gateway. An enclave host belongs into a private one, and leaves through a NAT gateway."
    }
  }
}

resource "aws_launch_template" "this" {
  for_each = var.leases

  name                   = local.groups[each.key]
  description            = "Casemate enclave host, lease ${each.key}"
  image_id               = var.ami_id
  instance_type          = var.instance_type
  ebs_optimized          = true
  update_default_version = true
  vpc_security_group_ids = [aws_security_group.host.id]
  tags                   = local.tags[each.key]

  user_data = base64encode(templatefile("${path.module}/user_data.sh.tftpl", {
    region        = data.aws_region.this.id
    bucket        = var.bucket
    manifest_hash = sha256(local.manifests[each.key])
    settings = jsonencode({
      accounts           = sort(tolist(each.value.accounts))
      deployment         = var.deployment
      drain_hook         = local.hook
      enclave_cid        = var.enclave_cid
      enclave_cpus       = var.enclave_cpus
      enclave_memory_mib = var.enclave_memory_mib
      group              = local.groups[each.key]
      journal_volume     = aws_ebs_volume.journal[each.key].id
      lease              = each.key
      log_group          = var.log_group_names[each.key]
      measurement        = { for name, pcr in var.measurement : name => pcr if pcr != null }
      region             = data.aws_region.this.id
      tls_secret         = var.tls_secret_arn
    })
  }))

  enclave_options {
    enabled = true
  }

  iam_instance_profile {
    arn = aws_iam_instance_profile.host.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  cpu_options {
    core_count       = local.cores
    threads_per_core = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = 20
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = local.tags[each.key]
    }
  }

  lifecycle {
    precondition {
      condition     = data.aws_ec2_instance_type.this.nitro_enclaves_support == "supported"
      error_message = "${var.instance_type} has no Nitro Enclaves. Take a compute-optimised type that has, such as c7i.2xlarge."
    }

    precondition {
      condition     = !data.aws_ec2_instance_type.this.burstable_performance_supported
      error_message = "${var.instance_type} is burstable: it slows down once its credits are spent. Take a compute-optimised type, such as c7i.2xlarge."
    }

    precondition {
      condition     = local.cores >= var.enclave_cpus + 2
      error_message = "${var.instance_type} has ${local.cores} cores: the enclave's ${var.enclave_cpus}, one for interrupts and one for the host are needed at least."
    }
  }
}

resource "aws_autoscaling_group" "this" {
  for_each = var.leases

  name                      = local.groups[each.key]
  min_size                  = 1
  max_size                  = 1
  desired_capacity          = 1
  vpc_zone_identifier       = [var.subnet_id]
  health_check_type         = "EC2"
  health_check_grace_period = 600
  wait_for_capacity_timeout = "0"

  launch_template {
    id      = aws_launch_template.this[each.key].id
    version = aws_launch_template.this[each.key].latest_version
  }

  # The old one ends first: two hosts of one lease are never wanted, a minute without one is.
  instance_maintenance_policy {
    min_healthy_percentage = 0
    max_healthy_percentage = 100
  }

  # Known to the group before it launches anything.
  initial_lifecycle_hook {
    name                 = local.hook
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = var.drain_seconds
    default_result       = "CONTINUE"
  }

  dynamic "tag" {
    for_each = local.tags[each.key]

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # the launch template tags instances
    }
  }
}
