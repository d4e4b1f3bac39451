variable "region" {
  description = "Region of the venue, such as ap-northeast-1."
  type        = string
  default     = "ap-northeast-1"
}

variable "availability_zone_id" {
  description = "Zone of the venue; measure it (`casemate doctor` prints round trips)."
  type        = string
  default     = "apne1-az4"
}

variable "deployment" {
  description = "As in the policy and the quorum."
  type        = string
  default     = "desk-1"
}

variable "administrator_role_arns" {
  description = "Key administrators; the role that runs Terraform among them."
  type        = set(string)
}

variable "sealer_role_arns" {
  description = "Roles of those who seal credentials."
  type        = set(string)
  default     = []
}

variable "ami_id" {
  description = "Amazon Linux 2023."
  type        = string
}

variable "release" {
  description = "Which of `measurements` runs."
  type        = string
}

variable "measurements" {
  description = "Release name -> PCRs (`casemate eif measure`)."
  type = map(object({
    pcr0 = string
    pcr1 = string
    pcr2 = string
    pcr3 = optional(string)
    pcr8 = optional(string)
  }))
}

variable "eif" {
  description = "The signed image."
  type        = string
  default     = "casemate.eif"
}

variable "host_bundle" {
  description = "The host's software."
  type        = string
  default     = "host-bundle.tar.gz"
}

variable "files" {
  description = "Files under /etc/casemate of the one host: path there -> path here."
  type        = map(string)
  default     = { "host.toml" = "host.toml" }
}

variable "tls_secret_arn" {
  description = "The gateway's certificate, key and client_ca."
  type        = string
}
