# Image, host software and configuration. Nothing in here is secret; what matters is that it is what it was: versioned,
# named by content, and checked by hash where it is used.

resource "aws_s3_bucket" "artifacts" {
  # checkov:skip=CKV_AWS_18: access to public-by-nature artifacts is in CloudTrail, if wanted
  # checkov:skip=CKV_AWS_144: another region's copy helps nobody who has to be near the venue
  # checkov:skip=CKV_AWS_145: nothing secret is in it
  # checkov:skip=CKV2_AWS_61: old releases are what a rollback needs
  # checkov:skip=CKV2_AWS_62: nobody waits for its events
  bucket_prefix = "${var.name}-artifacts-"
  tags          = var.tags
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_policy" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.artifacts.arn, "${aws_s3_bucket.artifacts.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "TheHostWritesNothing"
        Effect    = "Deny"
        Principal = { AWS = module.enclave_host.role_arn }
        Action    = ["s3:Delete*", "s3:Put*"]
        Resource  = [aws_s3_bucket.artifacts.arn, "${aws_s3_bucket.artifacts.arn}/*"]
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.artifacts]
}
