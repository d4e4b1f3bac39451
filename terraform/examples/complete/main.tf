# One desk at one venue: a host with its enclave, and on another machine the engine and the duty officer. An engine on the
# enclave's parent would give root there the engine's key, and with it everything that the policy allows.

module "casemate" {
  source = "../.."

  name                      = "casemate"
  deployment                = var.deployment
  availability_zone_id      = var.availability_zone_id
  administrator_role_arns   = var.administrator_role_arns
  sealer_role_arns          = var.sealer_role_arns
  measurements              = var.measurements
  release                   = var.release
  eif                       = var.eif
  host_bundle               = var.host_bundle
  ami_id                    = var.ami_id
  tls_secret_arn            = var.tls_secret_arn
  engine_security_group_ids = { engine = aws_security_group.engine.id }

  leases = {
    main = { accounts = ["binance-spot"], files = var.files }
  }
}

resource "aws_security_group" "engine" {
  name        = "casemate-engine"
  description = "Engine and duty officer: HTTPS and the gateway out, nothing in"
  vpc_id      = module.casemate.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "engine_https" {
  security_group_id = aws_security_group.engine.id
  description       = "Market data and AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "engine_gateway" {
  security_group_id            = aws_security_group.engine.id
  description                  = "The gateway"
  referenced_security_group_id = module.casemate.host_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 7443
  to_port                      = 7443
}

# The engine's role has no right to the key, the bucket or the gateway's certificate.
resource "aws_iam_role" "engine" {
  name = "casemate-engine"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "engine" {
  role       = aws_iam_role.engine.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "engine" {
  name = "casemate-engine"
  role = aws_iam_role.engine.name
}

resource "aws_instance" "engine" {
  ami                         = var.ami_id
  instance_type               = "c7i.xlarge"
  subnet_id                   = module.casemate.engine_subnet_id
  vpc_security_group_ids      = [aws_security_group.engine.id]
  iam_instance_profile        = aws_iam_instance_profile.engine.name
  associate_public_ip_address = false
  ebs_optimized               = true
  monitoring                  = true
  tags                        = { Name = "casemate-engine" }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = 30
  }
}
