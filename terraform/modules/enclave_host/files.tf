# What a host is made of, by content: each file is an object named by its hash, so nothing is ever overwritten and a
# rollback finds what it needs. The manifest says which hash goes where; user data holds the manifest's own hash.

locals {
  deploy = "${path.module}/../../../deploy"
  # The same files that a host set up by hand gets.
  deploy_files = { for file in fileset(local.deploy, "{bin,chrony,sysctl.d,systemd,tuned}/**") : "/opt/casemate/deploy/${file}" => "${local.deploy}/${file}" }
  shared_files = merge(local.deploy_files, {
    "/opt/casemate/release/enclave.eif"        = var.eif
    "/opt/casemate/release/host-bundle.tar.gz" = var.host_bundle
  })
  lease_files = {
    for name, lease in var.leases : name => merge(local.shared_files, { for target, source in lease.files : "/etc/casemate/${target}" => source })
  }
  hashes = { for source in toset(flatten([for files in values(local.lease_files) : values(files)])) : source => filesha256(source) }
  blobs  = { for source, hash in local.hashes : hash => source... }

  manifests = {
    for name, files in local.lease_files : name => join("", [for target in sort(keys(files)) : "${local.hashes[files[target]]} ${target}\n"])
  }
}

resource "aws_s3_object" "blob" {
  for_each = local.blobs

  bucket             = var.bucket
  key                = "blob/${each.key}"
  source             = each.value[0]
  source_hash        = each.key
  checksum_algorithm = "SHA256"
  tags               = var.tags
}

resource "aws_s3_object" "manifest" {
  for_each = local.manifests

  bucket             = var.bucket
  key                = "manifest/${sha256(each.value)}"
  content            = each.value
  checksum_algorithm = "SHA256"
  tags               = var.tags
}
