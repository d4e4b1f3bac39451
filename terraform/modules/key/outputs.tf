output "arn" {
  description = "ARN of the key, for `casemate seal --kms-key`."
  value       = aws_kms_key.this.arn
}

output "key_id" {
  description = "Id of the key."
  value       = aws_kms_key.this.key_id
}

output "alias" {
  description = "Alias of the key, with \"alias/\"."
  value       = aws_kms_alias.this.name
}

output "policy" {
  description = "The key's policy as JSON: what a security officer reads and compares."
  value       = local.policy
}
