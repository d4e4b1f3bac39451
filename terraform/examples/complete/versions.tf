terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # The state names every part of the deployment: keep it where it is locked and versioned.
  # backend "s3" { bucket = "...", key = "casemate.tfstate", region = "...", use_lockfile = true }
}

provider "aws" {
  region = var.region
}
