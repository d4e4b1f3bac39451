variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "availability_zone_id" {
  description = "Id of the zone, such as apne1-az4: the one where the venue is, or the nearest. Names (ap-northeast-1a) mean different places in different accounts, ids do not."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2,4}[0-9]?-?[a-z0-9]*-?az[0-9]+$", var.availability_zone_id))
    error_message = "This is the id of a zone, such as apne1-az4 (aws ec2 describe-availability-zones), not its name."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC. It is cut into sixteen subnets, of which three are used."
  type        = string
  default     = "10.40.0.0/20"

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 15))
    error_message = "A CIDR block that can be cut into sixteen, such as 10.40.0.0/20."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached inside the VPC, without the NAT gateway. Each costs by the hour."
  type        = set(string)
  default     = ["autoscaling", "ec2", "kms", "logs", "secretsmanager", "ssm", "ssmmessages"]

  validation {
    condition     = contains(var.interface_endpoints, "kms")
    error_message = "kms is one of them: that is what stands between a new boot and its credentials."
  }
}

variable "kms_key_arn" {
  description = "The only key that can be used through the KMS endpoint. null: any key that the caller's rights reach."
  type        = string
  default     = null
}

variable "egress_allocation_id" {
  description = "Allocation id of an elastic IP that exists already. Venues have it on their allow-lists, so it should outlive this configuration. null: one is made here, and goes with `terraform destroy`."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything that can have some."
  type        = map(string)
  default     = {}
}
