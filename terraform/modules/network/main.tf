# One zone, because being near the venue is the point. Hosts and engines are in private subnets and leave through one
# elastic IP, which venues put on their allow-lists. The public subnet holds the NAT gateway and nothing else.

data "aws_region" "this" {}

locals {
  tags = { for name in ["public", "host", "engine"] : name => merge(var.tags, { Name = "${var.name}-${name}" }) }
}

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11: flow logs are billed by volume; the account's own, if wanted, cover this VPC too
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })
}

# Nothing uses it; without this it would let its members talk to each other.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-unused" })
}

resource "aws_subnet" "public" {
  vpc_id                  = aws_vpc.this.id
  cidr_block              = cidrsubnet(var.vpc_cidr, 4, 0)
  availability_zone_id    = var.availability_zone_id
  map_public_ip_on_launch = false
  tags                    = local.tags.public
}

resource "aws_subnet" "private" {
  for_each = { host = 1, engine = 2 }

  vpc_id                  = aws_vpc.this.id
  cidr_block              = cidrsubnet(var.vpc_cidr, 4, each.value)
  availability_zone_id    = var.availability_zone_id
  map_public_ip_on_launch = false
  tags                    = local.tags[each.key]
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_eip" "this" {
  # checkov:skip=CKV2_AWS_19: it is the NAT gateway's, not an instance's
  count = var.egress_allocation_id == null ? 1 : 0

  domain = "vpc"
  tags   = merge(var.tags, { Name = "${var.name}-egress" })
}

data "aws_eip" "this" {
  count = var.egress_allocation_id == null ? 0 : 1

  id = var.egress_allocation_id
}

resource "aws_nat_gateway" "this" {
  allocation_id = var.egress_allocation_id == null ? aws_eip.this[0].id : var.egress_allocation_id
  subnet_id     = aws_subnet.public.id
  tags          = merge(var.tags, { Name = var.name })

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = local.tags.public
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-private" })
}

resource "aws_route" "private" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this.id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.this.id}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  tags              = merge(var.tags, { Name = "${var.name}-s3" })
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "AWS endpoints of ${var.name}: HTTPS from inside the VPC"
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${var.name}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id = aws_security_group.endpoints.id
  description       = "HTTPS from the VPC"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${data.aws_region.this.id}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [aws_subnet.private["host"].id]
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true
  policy              = each.key == "kms" ? local.kms_endpoint_policy : null
  tags                = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

locals {
  # Whoever is on the host cannot carry anything out by means of a key of his own through this endpoint.
  kms_endpoint_policy = var.kms_key_arn == null ? null : jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OneKey"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["kms:Decrypt"]
      Resource  = var.kms_key_arn
    }]
  })
}
