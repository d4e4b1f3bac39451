output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "host_subnet_id" {
  description = "Private subnet of the enclave hosts."
  value       = aws_subnet.private["host"].id

  # Who reads its routes must find them.
  depends_on = [aws_route.private, aws_route_table_association.private]
}

output "engine_subnet_id" {
  description = "Private subnet of the engines and the duty officer: other machines than the enclave hosts."
  value       = aws_subnet.private["engine"].id

  depends_on = [aws_route.private, aws_route_table_association.private]
}

output "egress_ip" {
  description = "The address that venues see: put it on each API key's allow-list."
  value       = var.egress_allocation_id == null ? aws_eip.this[0].public_ip : data.aws_eip.this[0].public_ip
}
