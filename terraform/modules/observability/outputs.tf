output "log_group_arns" {
  description = "Lease name -> ARN of its log group."
  value       = { for name, group in aws_cloudwatch_log_group.host : name => group.arn }
}

output "log_group_names" {
  description = "Lease name -> name of its log group."
  value       = { for name, group in aws_cloudwatch_log_group.host : name => group.name }
}

output "alarm_topic_arns" {
  description = "Where alarms go: subscribe somebody who is awake."
  value       = local.topics
}
