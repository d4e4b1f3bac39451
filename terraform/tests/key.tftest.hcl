# The key's policy, as text and by its refusals. tests/terraform evaluates it for each kind of caller.

mock_provider "aws" {}

variables {
  name                    = "casemate"
  deployment              = "desk-1"
  administrator_role_arns = ["arn:aws:iam::111122223333:role/key-admin"]
  sealer_role_arns        = ["arn:aws:iam::111122223333:role/sealer"]
  host_role_arn           = "arn:aws:iam::111122223333:role/casemate-host"
  measurements = {
    "2026-11" = {
      pcr0 = "a00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr1 = "a10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr2 = "a20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr3 = "a30000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
    }
    "2026-12" = {
      pcr0 = "b00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr1 = "b10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr2 = "b20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr3 = "a30000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      pcr8 = "b80000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
    }
  }
}

run "policy" {
  command = plan

  module {
    source = "./modules/key"
  }

  assert {
    condition = [for statement in jsondecode(output.policy).Statement : statement.Sid] == [
      "Administer", "Seal", "Release202611", "Release202612",
      "DenyWithoutAttestation", "DenyOtherImages", "DenyDebugEnclaves", "DenyTheHostAllElse", "DenyGrants",
    ]
    error_message = "One statement a measurement set, and the denials."
  }

  assert {
    condition     = aws_kms_key.this.policy == output.policy
    error_message = "What is shown is what the key gets."
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "Rotated, and deleted as late as possible."
  }

  assert {
    condition     = !strcontains(output.policy, "kms:*") && !strcontains(output.policy, ":root")
    error_message = "Nobody may do everything, and the account's root nothing."
  }
}

run "a_pcr_of_zeros_is_refused" {
  command = plan

  module {
    source = "./modules/key"
  }

  variables {
    measurements = {
      debug = {
        pcr0 = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        pcr1 = "a10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
        pcr2 = "a20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
        pcr3 = "a30000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      }
    }
  }

  expect_failures = [var.measurements]
}

run "a_short_pcr_is_refused" {
  command = plan

  module {
    source = "./modules/key"
  }

  variables {
    measurements = { short = { pcr0 = "a0", pcr1 = "a1", pcr2 = "a2", pcr3 = "a3" } }
  }

  expect_failures = [var.measurements]
}

run "a_measurement_set_needs_pcr3_or_pcr8" {
  command = plan

  module {
    source = "./modules/key"
  }

  variables {
    measurements = {
      loose = {
        pcr0 = "a00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
        pcr1 = "a10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
        pcr2 = "a20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"
      }
    }
  }

  expect_failures = [var.measurements]
}

run "the_account_s_root_is_no_administrator" {
  command = plan

  module {
    source = "./modules/key"
  }

  variables {
    administrator_role_arns = ["arn:aws:iam::111122223333:root"]
  }

  expect_failures = [var.administrator_role_arns]
}
