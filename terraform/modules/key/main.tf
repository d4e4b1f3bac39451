# The key that wraps the exchange credentials. What holds, holds by this policy alone: no statement gives the account's
# root anything, so IAM policies of the account add no right to it, and the denials at the end bind everybody.

locals {
  zeros = join("", [for _ in range(96) : "0"])
  pcrs  = "kms:RecipientAttestation:PCR"

  administer = {
    Sid       = "Administer"
    Effect    = "Allow"
    Principal = { AWS = sort(tolist(var.administrator_role_arns)) }
    Action = [
      "kms:CancelKeyDeletion",
      "kms:DescribeKey",
      "kms:DisableKey",
      "kms:EnableKey",
      "kms:EnableKeyRotation",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListGrants",
      "kms:ListKeyPolicies",
      "kms:ListResourceTags",
      "kms:ListRetirableGrants",
      "kms:PutKeyPolicy",
      "kms:RevokeGrant",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:CreateAlias",
      "kms:DeleteAlias",
      "kms:UpdateKeyDescription",
    ]
    Resource = "*"
  }

  # What `casemate seal` calls. Sealing gives no way back: opening is the enclave's.
  seal = {
    Sid       = "Seal"
    Effect    = "Allow"
    Principal = { AWS = sort(tolist(var.sealer_role_arns)) }
    Action    = ["kms:GenerateDataKey"]
    Resource  = "*"
    Condition = {
      StringEquals = {
        "kms:EncryptionContext:deployment" = var.deployment
        "kms:EncryptionContext:purpose"    = "credential"
      }
    }
  }

  # One statement a measurement set, so that values of different sets never mix: the old image's PCR0 with the new
  # one's PCR2 is no image of ours.
  release = [
    for name, set in var.measurements : {
      Sid       = "Release${replace(name, "/[^A-Za-z0-9]/", "")}"
      Effect    = "Allow"
      Principal = { AWS = var.host_role_arn }
      Action    = ["kms:Decrypt"]
      Resource  = "*"
      Condition = {
        StringEqualsIgnoreCase = merge(
          { for index in ["0", "1", "2"] : "${local.pcrs}${index}" => set["pcr${index}"] },
          set.pcr3 == null ? {} : { "${local.pcrs}3" = set.pcr3 },
          set.pcr8 == null ? {} : { "${local.pcrs}8" = set.pcr8 },
        )
        StringEquals = {
          "kms:EncryptionContext:deployment" = var.deployment
          "kms:EncryptionContext:purpose"    = "credential"
        }
      }
    }
  ]

  # Denials outlive a careless Allow, in this policy or in an IAM one.
  opening = ["kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
  deny = [
    {
      Sid       = "DenyWithoutAttestation"
      Effect    = "Deny"
      Principal = "*"
      Action    = local.opening
      Resource  = "*"
      Condition = { Null = { "${local.pcrs}0" = "true" } }
    },
    {
      Sid       = "DenyOtherImages"
      Effect    = "Deny"
      Principal = "*"
      Action    = local.opening
      Resource  = "*"
      Condition = { StringNotEqualsIgnoreCase = { "${local.pcrs}0" = [for set in values(var.measurements) : set.pcr0] } }
    },
    {
      Sid       = "DenyDebugEnclaves"
      Effect    = "Deny"
      Principal = "*"
      Action    = local.opening
      Resource  = "*"
      Condition = { StringEquals = { "${local.pcrs}0" = local.zeros } }
    },
    {
      Sid       = "DenyTheHostAllElse"
      Effect    = "Deny"
      Principal = { AWS = var.host_role_arn }
      NotAction = ["kms:Decrypt"]
      Resource  = "*"
    },
    {
      # A grant would be a second, less visible key policy.
      Sid       = "DenyGrants"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["kms:CreateGrant"]
      Resource  = "*"
    },
  ]

  # The statements differ in shape, and a list wants one type: hence texts until the end.
  statements = concat(
    [jsonencode(local.administer)],
    length(var.sealer_role_arns) == 0 ? [] : [jsonencode(local.seal)],
    [for statement in local.release : jsonencode(statement)],
    [for statement in local.deny : jsonencode(statement)],
  )
  policy = "{\"Version\":\"2012-10-17\",\"Id\":\"casemate\",\"Statement\":[${join(",", local.statements)}]}"
}

resource "aws_kms_key" "this" {
  description             = "Casemate ${var.deployment}: wraps exchange credentials; opens them for measured enclaves only"
  key_usage               = "ENCRYPT_DECRYPT"
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_window_in_days
  multi_region            = false
  policy                  = local.policy
  tags                    = var.tags
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
