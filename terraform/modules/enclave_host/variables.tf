variable "name" {
  description = "Prefix of names. The role is NAME-host: PCR3 is made of its ARN."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "Lower-case letters, digits and dashes, 2 to 31."
  }
}

variable "deployment" {
  description = "The deployment's name, as in the policy and the quorum."
  type        = string
}

variable "leases" {
  description = "One host each: lease name -> its accounts, and the files that go to /etc/casemate (path there -> path here): host.toml, and sealed bundles and approvals, which are no secrets. An account belongs to one lease: two hosts of one account would fight over its nonces and count its limits twice."
  type = map(object({
    accounts = set(string)
    files    = map(string)
  }))

  validation {
    condition     = alltrue([for name in keys(var.leases) : can(regex("^[a-z][a-z0-9-]{0,15}$", name))])
    error_message = "A lease's name has lower-case letters, digits and dashes, 16 at most."
  }

  validation {
    condition     = length(flatten([for lease in values(var.leases) : tolist(lease.accounts)])) == length(toset(flatten([for lease in values(var.leases) : tolist(lease.accounts)])))
    error_message = "An account stands in two leases: one host signs for an account, never two."
  }

  validation {
    condition     = alltrue([for lease in values(var.leases) : contains(keys(lease.files), "host.toml")])
    error_message = "Each lease needs a host.toml among its files (docs/host.md)."
  }

  validation {
    condition     = alltrue(flatten([for lease in values(var.leases) : [for target in keys(lease.files) : can(regex("^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)?$", target))]]))
    error_message = "A file's place is a plain name under /etc/casemate, at most one folder deep."
  }
}

variable "instance_type" {
  description = "Compute-optimised, four vCPUs or more, with Nitro Enclaves; bare metal and burstable types have none."
  type        = string
  default     = "c7i.2xlarge"

  validation {
    condition     = !can(regex("^t[0-9]", var.instance_type))
    error_message = "This type is burstable: it slows down once its credits are spent, and it cannot run an enclave. Take a compute-optimised one, such as c7i.2xlarge."
  }

  validation {
    condition     = !can(regex("\\.metal", var.instance_type))
    error_message = "Bare metal has no Nitro Enclaves. Take a virtual type, such as c7i.2xlarge."
  }
}

variable "ami_id" {
  description = "Amazon Linux 2023, pinned: a newer one is a change that you decide on (docs/deploy.md shows how to look it up)."
  type        = string

  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "An AMI's id, such as ami-0123456789abcdef0."
  }
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
}

variable "subnet_id" {
  description = "A private subnet in the venue's zone, associated with a route table of its own choice (not the VPC's main one by default) that has no internet gateway."
  type        = string
}

variable "engine_security_group_ids" {
  description = "Security groups of the engines and the duty officer, by a name of yours: they may reach the gateway. Nobody else can reach anything."
  type        = map(string)
  default     = {}
}

variable "gateway_port" {
  description = "TCP port of the gateway, as in host.toml's `listen`."
  type        = number
  default     = 7443

  validation {
    condition     = var.gateway_port >= 1024 && var.gateway_port <= 65535
    error_message = "1024 to 65535: the host is not root."
  }
}

variable "tls_secret_arn" {
  description = "Secrets Manager: {\"certificate\": PEM, \"key\": PEM, \"client_ca\": PEM} of the gateway. Made by hand, so that the key never enters Terraform's state."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:", var.tls_secret_arn))
    error_message = "The ARN of a secret."
  }
}

variable "tls_secret_kms_key_arn" {
  description = "Key that the secret is encrypted with, if it is one of yours. null: AWS's own."
  type        = string
  default     = null
}

variable "bucket" {
  description = "Versioned bucket that the files are put into."
  type        = string
}

variable "eif" {
  description = "The signed enclave image, a local file."
  type        = string
}

variable "host_bundle" {
  description = "The host's software, a local file (`python -m tools.host_bundle`)."
  type        = string
}

variable "measurement" {
  description = "What the image measures: pcr0, pcr1, pcr2, and pcr8 if it is signed. The host refuses to start anything else. That saves a bad morning; it is the engines' check of the attestation that protects."
  type = object({
    pcr0 = string
    pcr1 = string
    pcr2 = string
    pcr8 = optional(string)
  })

  validation {
    condition     = alltrue([for pcr in values(var.measurement) : pcr == null ? true : can(regex("^[0-9a-f]{96}$", pcr)) && !can(regex("^0+$", pcr))])
    error_message = "A PCR is 96 lower-case hexadecimal digits and not all zeros (zeros are a debug enclave's)."
  }
}

variable "enclave_cpus" {
  description = "Processors of the enclave, taken from the host."
  type        = number
  default     = 2

  validation {
    condition     = var.enclave_cpus >= 1 && var.enclave_cpus == floor(var.enclave_cpus)
    error_message = "A whole number from 1 on."
  }
}

variable "enclave_memory_mib" {
  description = "Memory of the enclave, in pages of 1 GiB. At least four times the image."
  type        = number
  default     = 4096

  validation {
    condition     = var.enclave_memory_mib >= 1024 && var.enclave_memory_mib % 1024 == 0
    error_message = "A multiple of 1024, from 1024 on."
  }
}

variable "enclave_cid" {
  description = "Context id of the enclave, as in host.toml's `enclave`."
  type        = number
  default     = 16

  validation {
    condition     = var.enclave_cid >= 4 && var.enclave_cid < 4294967295
    error_message = "From 4 on: 0 to 3 are the hypervisor's, the loopback's, the host's and the parent's."
  }
}

variable "journal_gib" {
  description = "Size of the journal's volume."
  type        = number
  default     = 50

  validation {
    condition     = var.journal_gib >= 20
    error_message = "20 or more: a full journal stops new orders."
  }
}

variable "drain_seconds" {
  description = "How long an instance that is to go may finish what is under way. More than host.toml's drain_ms."
  type        = number
  default     = 120

  validation {
    condition     = var.drain_seconds >= 30 && var.drain_seconds <= 7200
    error_message = "30 to 7200."
  }
}

variable "log_group_arns" {
  description = "Lease name -> ARN of its log group."
  type        = map(string)
}

variable "log_group_names" {
  description = "Lease name -> name of its log group."
  type        = map(string)
}

variable "tags" {
  description = "Tags of everything that can have some."
  type        = map(string)
  default     = {}
}
