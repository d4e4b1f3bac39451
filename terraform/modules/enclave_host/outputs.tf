output "role_arn" {
  description = "ARN of the host's role: the key's policy names it, and PCR3 is made of it."
  value       = aws_iam_role.host.arn
}

output "security_group_id" {
  description = "Security group of the hosts."
  value       = aws_security_group.host.id
}

output "group_names" {
  description = "Lease name -> autoscaling group."
  value       = { for name, group in aws_autoscaling_group.this : name => group.name }
}

output "journal_volume_ids" {
  description = "Lease name -> volume of the journal."
  value       = { for name, volume in aws_ebs_volume.journal : name => volume.id }
}

output "host_policy" {
  description = "The host's rights as JSON, for review."
  value       = local.host_policy
}

output "manifest_hashes" {
  description = "Lease name -> SHA-256 of the manifest that user data names."
  value       = { for name, manifest in local.manifests : name => sha256(manifest) }
}
