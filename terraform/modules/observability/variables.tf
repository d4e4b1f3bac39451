variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "groups" {
  description = "Lease name -> name of its autoscaling group."
  type        = map(string)
}

variable "kms_key_arn" {
  description = "The key whose changes are told."
  type        = string
}

variable "alarm_topic_arns" {
  description = "Where alarms go. Empty: a topic is made, and somebody has to subscribe to it."
  type        = list(string)
  default     = []
}

variable "log_kms_key_arn" {
  description = "Key that encrypts logs and the topic, one that CloudWatch and SNS may use. Never the credentials' key. null: AWS's own."
  type        = string
  default     = null
}

variable "retention_in_days" {
  description = "How long logs are kept."
  type        = number
  default     = 400

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.retention_in_days)
    error_message = "One of CloudWatch's own values from 30 days on, such as 90, 400 or 3653."
  }
}

variable "least_journal_gib" {
  description = "Free space of the journal's volume below which somebody is told."
  type        = number
  default     = 5
}

variable "tags" {
  description = "Tags of everything that can have some."
  type        = map(string)
  default     = {}
}
