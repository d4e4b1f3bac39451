# Casemate on AWS: a key that opens credentials for measured enclaves only, hosts near the venue, one a lease, and alarms.

locals {
  groups    = { for name in keys(var.leases) : name => "${var.name}-${name}" }
  vpc_id    = var.network == null ? module.network[0].vpc_id : var.network.vpc_id
  subnet_id = var.network == null ? module.network[0].host_subnet_id : var.network.subnet_id
  # A release that validation refuses must not fail here as well, with a worse message.
  measurement = try(var.measurements[var.release], { pcr0 = null, pcr1 = null, pcr2 = null, pcr8 = null })
}

module "key" {
  source = "./modules/key"

  name                    = var.name
  deployment              = var.deployment
  administrator_role_arns = var.administrator_role_arns
  sealer_role_arns        = var.sealer_role_arns
  host_role_arn           = module.enclave_host.role_arn
  measurements            = var.measurements
  tags                    = var.tags
}

module "network" {
  source = "./modules/network"
  count  = var.network == null ? 1 : 0

  name                 = var.name
  availability_zone_id = var.availability_zone_id
  vpc_cidr             = var.vpc_cidr
  egress_allocation_id = var.egress_allocation_id
  kms_key_arn          = module.key.arn
  tags                 = var.tags
}

module "observability" {
  source = "./modules/observability"

  name             = var.name
  groups           = local.groups
  kms_key_arn      = module.key.arn
  alarm_topic_arns = var.alarm_topic_arns
  log_kms_key_arn  = var.log_kms_key_arn
  tags             = var.tags
}

module "enclave_host" {
  source = "./modules/enclave_host"

  name                      = var.name
  deployment                = var.deployment
  leases                    = var.leases
  instance_type             = var.instance_type
  ami_id                    = var.ami_id
  vpc_id                    = local.vpc_id
  subnet_id                 = local.subnet_id
  engine_security_group_ids = var.engine_security_group_ids
  tls_secret_arn            = var.tls_secret_arn
  tls_secret_kms_key_arn    = var.tls_secret_kms_key_arn
  bucket                    = aws_s3_bucket.artifacts.id
  eif                       = var.eif
  host_bundle               = var.host_bundle
  measurement               = local.measurement
  enclave_cpus              = var.enclave_cpus
  enclave_memory_mib        = var.enclave_memory_mib
  log_group_arns            = module.observability.log_group_arns
  log_group_names           = module.observability.log_group_names
  tags                      = var.tags
}
