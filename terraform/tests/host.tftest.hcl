# What the hosts are, and what is refused: burstable types, types without enclaves, public subnets, two hosts of one account.
# Any file stands for the image: only its hash matters here.

mock_provider "aws" {
  mock_data "aws_ec2_instance_type" {
    defaults = {
      nitro_enclaves_support          = "supported"
      burstable_performance_supported = false
      default_cores                   = 4
    }
  }

  mock_data "aws_subnet" {
    defaults = {
      availability_zone       = "ap-northeast-1a"
      map_public_ip_on_launch = false
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
}

variables {
  name            = "casemate"
  deployment      = "desk-1"
  ami_id          = "ami-0123456789abcdef0"
  vpc_id          = "vpc-1"
  subnet_id       = "subnet-1"
  tls_secret_arn  = "arn:aws:secretsmanager:ap-northeast-1:111122223333:secret:gateway-AbCdEf"
  bucket          = "casemate-artifacts"
  eif             = "versions.tf"
  host_bundle     = "outputs.tf"
  log_group_arns  = { main = "arn:aws:logs:ap-northeast-1:111122223333:log-group:/casemate/casemate/main" }
  log_group_names = { main = "/casemate/casemate/main" }
  leases          = { main = { accounts = ["binance-spot"], files = { "host.toml" = "main.tf" } } }
  measurement = {
    pcr0 = "a00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
    pcr1 = "a10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
    pcr2 = "a20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
  }
}

run "hardened" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  assert {
    condition     = aws_launch_template.this["main"].enclave_options[0].enabled
    error_message = "Enclaves are on."
  }

  assert {
    condition     = aws_launch_template.this["main"].metadata_options[0].http_tokens == "required" && aws_launch_template.this["main"].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 only, one hop."
  }

  assert {
    condition     = aws_launch_template.this["main"].key_name == null
    error_message = "Nobody logs in by SSH."
  }

  assert {
    condition     = aws_launch_template.this["main"].block_device_mappings[0].ebs[0].encrypted == "true" && aws_ebs_volume.journal["main"].encrypted
    error_message = "Disks are encrypted."
  }

  assert {
    condition     = startswith(aws_launch_template.this["main"].instance_type, "c")
    error_message = "Compute-optimised by default."
  }

  assert {
    condition     = aws_autoscaling_group.this["main"].max_size == 1 && one(aws_autoscaling_group.this["main"].initial_lifecycle_hook).lifecycle_transition == "autoscaling:EC2_INSTANCE_TERMINATING"
    error_message = "One host a lease, and it drains before it goes."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.gateway) == 0
    error_message = "Nobody reaches a host unless he is named."
  }

  assert {
    condition     = alltrue([for action in flatten([for statement in jsondecode(output.host_policy).Statement : statement.Action]) : !strcontains(action, "*") && !startswith(action, "kms:")])
    error_message = "No wildcard among the host's rights, and no right to KMS: that is the key policy's to give."
  }

  assert {
    condition     = contains([for file, _ in local.deploy_files : file], "/opt/casemate/deploy/bin/casemate-install") && contains([for file, _ in local.deploy_files : file], "/opt/casemate/deploy/systemd/casemate-host.service")
    error_message = "User data starts the same files that deploy/ holds."
  }
}

run "a_t3_is_refused" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  variables {
    instance_type = "t3.xlarge"
  }

  expect_failures = [var.instance_type]
}

run "a_burstable_type_of_another_name_is_refused" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  override_data {
    target = data.aws_ec2_instance_type.this
    values = {
      nitro_enclaves_support          = "supported"
      burstable_performance_supported = true
      default_cores                   = 4
    }
  }

  expect_failures = [aws_launch_template.this]
}

run "a_type_without_enclaves_is_refused" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  override_data {
    target = data.aws_ec2_instance_type.this
    values = {
      nitro_enclaves_support          = "unsupported"
      burstable_performance_supported = false
      default_cores                   = 4
    }
  }

  expect_failures = [aws_launch_template.this]
}

run "a_type_too_small_is_refused" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  variables {
    enclave_cpus = 3
  }

  expect_failures = [aws_launch_template.this]
}

run "a_public_subnet_is_refused" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  override_data {
    target = data.aws_route_table.this
    values = {
      routes = [{
        carrier_gateway_id         = ""
        cidr_block                 = "0.0.0.0/0"
        core_network_arn           = ""
        destination_prefix_list_id = ""
        egress_only_gateway_id     = ""
        gateway_id                 = "igw-0123456789abcdef0"
        instance_id                = ""
        ipv6_cidr_block            = ""
        local_gateway_id           = ""
        nat_gateway_id             = ""
        network_interface_id       = ""
        transit_gateway_id         = ""
        vpc_endpoint_id            = ""
        vpc_peering_connection_id  = ""
      }]
    }
  }

  expect_failures = [aws_ebs_volume.journal]
}

run "a_subnet_that_gives_public_addresses_is_refused" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  override_data {
    target = data.aws_subnet.this
    values = {
      availability_zone       = "ap-northeast-1a"
      map_public_ip_on_launch = true
    }
  }

  expect_failures = [aws_ebs_volume.journal]
}

run "an_account_in_two_leases_is_refused" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  variables {
    leases = {
      main  = { accounts = ["binance-spot"], files = { "host.toml" = "main.tf" } }
      spare = { accounts = ["binance-spot"], files = { "host.toml" = "main.tf" } }
    }
  }

  expect_failures = [var.leases]
}

run "a_measurement_of_zeros_is_refused" {
  command = plan

  module {
    source = "./modules/enclave_host"
  }

  variables {
    measurement = {
      pcr0 = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      pcr1 = "a10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr2 = "a20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
    }
  }

  expect_failures = [var.measurement]
}
