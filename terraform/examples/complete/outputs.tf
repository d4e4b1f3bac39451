output "kms_key_arn" {
  description = "For `casemate seal --kms-key`."
  value       = module.casemate.kms_key_arn
}

output "host_role_arn" {
  description = "PCR3 is made of it."
  value       = module.casemate.host_role_arn
}

output "egress_ip" {
  description = "For the venues' allow-lists."
  value       = module.casemate.egress_ip
}

output "group_name" {
  description = "The host's autoscaling group."
  value       = module.casemate.group_names["main"]
}

output "engine_instance_id" {
  description = "`aws ssm start-session --target` this."
  value       = aws_instance.engine.id
}

output "alarm_topic_arns" {
  description = "Subscribe to these."
  value       = module.casemate.alarm_topic_arns
}
