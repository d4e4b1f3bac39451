variable "name" {
  description = "Name of the key's alias, without \"alias/\"."
  type        = string
}

variable "deployment" {
  description = "The deployment's name, as in the policy and the quorum. Part of the encryption context of every data key."
  type        = string
}

variable "administrator_role_arns" {
  description = "Roles that may change the key and its policy, and never use it. Terraform runs as one of them. Whoever has such a role can let any image decrypt: watch it, and see docs/deploy.md for deployments that do not accept that."
  type        = set(string)

  validation {
    condition     = length(var.administrator_role_arns) > 0
    error_message = "A key that nobody administers can never be mended: name at least one role, better two."
  }

  validation {
    condition     = alltrue([for arn in var.administrator_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "Each administrator is the ARN of one role: no account root, no user, no wildcard."
  }
}

variable "sealer_role_arns" {
  description = "Roles that may ask for data keys, for `casemate seal`. They can seal and not open."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.sealer_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "Each sealer is the ARN of one role: no account root, no user, no wildcard."
  }
}

variable "host_role_arn" {
  description = "Role of the enclave's parent. It asks KMS to decrypt for the attested enclave and can do nothing else with the key."
  type        = string
}

variable "measurements" {
  description = "What may open sealed credentials: release name -> measurement of its image (`casemate eif measure`). Two at a time during an upgrade. pcr3 is the host role's, pcr8 the signing certificate's; at least one of them."
  type = map(object({
    pcr0 = string
    pcr1 = string
    pcr2 = string
    pcr3 = optional(string)
    pcr8 = optional(string)
  }))

  validation {
    condition     = length(var.measurements) >= 1 && length(var.measurements) <= 4
    error_message = "One to four measurement sets: each one is an image that can have the exchange keys."
  }

  validation {
    condition     = alltrue([for name in keys(var.measurements) : can(regex("^[A-Za-z0-9][A-Za-z0-9.-]{0,30}$", name))])
    error_message = "A release's name has letters, digits, dots and dashes, 31 at most."
  }

  validation {
    condition = alltrue(flatten([
      for set in values(var.measurements) : [for pcr in values(set) : pcr == null ? true : can(regex("^[0-9a-f]{96}$", pcr))]
    ]))
    error_message = "A PCR is 96 lower-case hexadecimal digits (SHA-384), as `casemate eif measure` prints it."
  }

  validation {
    condition = alltrue(flatten([
      for set in values(var.measurements) : [for pcr in values(set) : pcr == null ? true : !can(regex("^0+$", pcr))]
    ]))
    error_message = "A PCR of zeros is a debug enclave's, or of something that is not there: any debug enclave would get the keys."
  }

  validation {
    condition     = alltrue([for set in values(var.measurements) : set.pcr3 != null || set.pcr8 != null])
    error_message = "Each measurement set needs pcr3 (the host's role) or pcr8 (the certificate that signed the image), or both."
  }
}

variable "deletion_window_in_days" {
  description = "How long a deletion can be taken back. A deleted key opens nothing any more: the longest is the default."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_in_days >= 7 && var.deletion_window_in_days <= 30
    error_message = "KMS takes 7 to 30 days."
  }
}

variable "tags" {
  description = "Tags of everything that can have some."
  type        = map(string)
  default     = {}
}
