output "kms_key_arn" {
  description = "For `casemate seal --kms-key`."
  value       = module.key.arn
}

output "kms_key_policy" {
  description = "The key's policy as JSON: what a security officer reads and compares."
  value       = module.key.policy
}

output "host_role_arn" {
  description = "PCR3 is made of it."
  value       = module.enclave_host.role_arn
}

output "host_security_group_id" {
  description = "Security group of the hosts."
  value       = module.enclave_host.security_group_id
}

output "group_names" {
  description = "Lease name -> autoscaling group."
  value       = module.enclave_host.group_names
}

output "egress_ip" {
  description = "The address that venues see: put it on each API key's allow-list. null in a network of yours."
  value       = var.network == null ? module.network[0].egress_ip : null
}

output "vpc_id" {
  description = "Id of the VPC."
  value       = local.vpc_id
}

output "engine_subnet_id" {
  description = "Private subnet for engines and duty officer. null in a network of yours."
  value       = var.network == null ? module.network[0].engine_subnet_id : null
}

output "bucket" {
  description = "Bucket of image and host software."
  value       = aws_s3_bucket.artifacts.id
}

output "log_group_names" {
  description = "Lease name -> log group."
  value       = module.observability.log_group_names
}

output "alarm_topic_arns" {
  description = "Where alarms go: subscribe somebody who is awake."
  value       = module.observability.alarm_topic_arns
}
