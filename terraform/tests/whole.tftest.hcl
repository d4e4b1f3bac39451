# All of it together, applied against a provider that makes everything up.

mock_provider "aws" {
  mock_data "aws_ec2_instance_type" {
    defaults = {
      nitro_enclaves_support          = "supported"
      burstable_performance_supported = false
      default_cores                   = 4
    }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { id = "ap-northeast-1", name = "ap-northeast-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/casemate-host" }
  }

  mock_resource "aws_iam_instance_profile" {
    defaults = { arn = "arn:aws:iam::111122223333:instance-profile/casemate-host" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:ap-northeast-1:111122223333:key/11111111-2222-3333-4444-555555555555" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:ap-northeast-1:111122223333:log-group:/casemate/casemate/main" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:ap-northeast-1:111122223333:casemate-alarms" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::casemate-artifacts-1" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0" }
  }

  mock_resource "aws_eip" {
    defaults = { public_ip = "203.0.113.7" }
  }
}

variables {
  deployment              = "desk-1"
  availability_zone_id    = "apne1-az4"
  administrator_role_arns = ["arn:aws:iam::111122223333:role/key-admin"]
  ami_id                  = "ami-0123456789abcdef0"
  tls_secret_arn          = "arn:aws:secretsmanager:ap-northeast-1:111122223333:secret:gateway-AbCdEf"
  eif                     = "versions.tf"
  host_bundle             = "outputs.tf"
  release                 = "2026-11"
  leases                  = { main = { accounts = ["binance-spot"], files = { "host.toml" = "main.tf" } } }
  measurements = {
    "2026-11" = {
      pcr0 = "a00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr1 = "a10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr2 = "a20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr3 = "a30000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
    }
  }
}

run "everything" {
  assert {
    condition     = output.egress_ip == "203.0.113.7"
    error_message = "Venues see one address."
  }

  assert {
    condition     = strcontains(output.kms_key_policy, output.host_role_arn)
    error_message = "The key's policy names the hosts' role."
  }

  assert {
    condition     = output.log_group_names == { main = "/casemate/casemate/main" }
    error_message = "Each lease has its log group."
  }

  assert {
    condition     = aws_s3_bucket_versioning.artifacts.versioning_configuration[0].status == "Enabled"
    error_message = "Artifacts are versioned."
  }
}

run "the_release_must_be_measured" {
  command = plan

  variables {
    release = "2027-01"
  }

  expect_failures = [var.release]
}

run "somewhere_it_must_be" {
  command = plan

  variables {
    availability_zone_id = null
  }

  expect_failures = [var.availability_zone_id]
}

run "a_zone_s_name_is_no_id" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    name                 = "casemate"
    availability_zone_id = "ap-northeast-1a"
  }

  expect_failures = [var.availability_zone_id]
}
