variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "casemate"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "Lower-case letters, digits and dashes, 2 to 31."
  }
}

variable "deployment" {
  description = "The deployment's name, as in the policy and the quorum."
  type        = string
}

variable "availability_zone_id" {
  description = "Id of the zone near the venue, such as apne1-az4. Unused if `network` names a subnet of yours."
  type        = string
  default     = null

  validation {
    condition     = var.availability_zone_id != null || var.network != null
    error_message = "Say where: availability_zone_id, the id of the zone near the venue, or network."
  }
}

variable "network" {
  description = "A VPC and a private subnet of yours. null: both are made, with a NAT gateway and an elastic IP."
  type = object({
    vpc_id    = string
    subnet_id = string
  })
  default = null
}

variable "vpc_cidr" {
  description = "Addresses of the VPC that is made."
  type        = string
  default     = "10.40.0.0/20"
}

variable "egress_allocation_id" {
  description = "Allocation id of an elastic IP that venues have on their allow-lists already. null: one is made."
  type        = string
  default     = null
}

variable "administrator_role_arns" {
  description = "Roles that may change the key and its policy, and never use it; the one that runs Terraform among them."
  type        = set(string)
}

variable "sealer_role_arns" {
  description = "Roles that may ask for data keys, for `casemate seal`."
  type        = set(string)
  default     = []
}

variable "measurements" {
  description = "What may open sealed credentials: release name -> PCRs (`casemate eif measure`). Two at a time during an upgrade."
  type = map(object({
    pcr0 = string
    pcr1 = string
    pcr2 = string
    pcr3 = optional(string)
    pcr8 = optional(string)
  }))
}

variable "release" {
  description = "Which of `measurements` the hosts start."
  type        = string

  validation {
    condition     = contains(keys(var.measurements), var.release)
    error_message = "The release is none of `measurements`: KMS would open nothing for it."
  }
}

variable "eif" {
  description = "The signed enclave image of the release, a local file."
  type        = string
}

variable "host_bundle" {
  description = "The host's software of the release, a local file."
  type        = string
}

variable "leases" {
  description = "One host each: lease name -> its accounts, and the files that go to /etc/casemate (path there -> path here), host.toml among them."
  type = map(object({
    accounts = set(string)
    files    = map(string)
  }))
}

variable "instance_type" {
  description = "Compute-optimised, four vCPUs or more, with Nitro Enclaves."
  type        = string
  default     = "c7i.2xlarge"
}

variable "ami_id" {
  description = "Amazon Linux 2023, pinned."
  type        = string
}

variable "enclave_cpus" {
  description = "Processors of the enclave, taken from the host."
  type        = number
  default     = 2
}

variable "enclave_memory_mib" {
  description = "Memory of the enclave, a multiple of 1024, at least four times the image."
  type        = number
  default     = 4096
}

variable "engine_security_group_ids" {
  description = "Security groups of engines and duty officer, by a name of yours."
  type        = map(string)
  default     = {}
}

variable "tls_secret_arn" {
  description = "Secrets Manager: certificate, key and client_ca of the gateway."
  type        = string
}

variable "tls_secret_kms_key_arn" {
  description = "Key that the secret is encrypted with, if it is one of yours."
  type        = string
  default     = null
}

variable "alarm_topic_arns" {
  description = "Where alarms go. Empty: a topic is made."
  type        = list(string)
  default     = []
}

variable "log_kms_key_arn" {
  description = "Key that encrypts logs and the topic. null: AWS's own."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything that can have some."
  type        = map(string)
  default     = {}
}
