# Fargate Runners from Terraform: the release's zips in a bucket, and the release's template around them.
#
#   gh release download v0.1.0 --dir release --pattern '*-arm64.zip' --pattern '*-arm64.template.json'
#   terraform apply -var allowed_owners=octo -var image=ghcr.io/OWNER/REPOSITORY/runner:0.1.0

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

variable "release" {
  description = "Directory with the files of a release."
  type        = string
  default     = "release"
}

variable "allowed_owners" {
  description = "Users or organizations whose jobs are run, separated by spaces."
  type        = string
}

variable "image" {
  description = "URI of the runner image."
  type        = string
}

locals {
  zips = fileset(var.release, "*-arm64.zip")
  # One file: a release has one template for each processor.
  template = one(fileset(var.release, "*-arm64.template.json"))
}

resource "aws_s3_bucket" "functions" {
  bucket_prefix = "fargate-runners-"
}

resource "aws_s3_bucket_public_access_block" "functions" {
  bucket                  = aws_s3_bucket.functions.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "zip" {
  for_each = local.zips

  bucket      = aws_s3_bucket.functions.id
  key         = "functions/${each.value}"
  source      = "${var.release}/${each.value}"
  source_hash = filesha256("${var.release}/${each.value}")
}

# Too large to be sent with the request, so CloudFormation reads it from the bucket.
resource "aws_s3_object" "template" {
  bucket      = aws_s3_bucket.functions.id
  key         = "template-${filesha256("${var.release}/${local.template}")}.json"
  source      = "${var.release}/${local.template}"
  source_hash = filesha256("${var.release}/${local.template}")
}

resource "aws_cloudformation_stack" "runners" {
  name         = "fargate-runners"
  template_url = "https://${aws_s3_bucket.functions.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  # The roles have names' paths, and permissions.
  capabilities = ["CAPABILITY_NAMED_IAM"]

  parameters = {
    AllowedOwners   = var.allowed_owners
    FunctionsBucket = aws_s3_bucket.functions.id
    FunctionsPrefix = "functions/"
    Image           = var.image
  }

  depends_on = [aws_s3_object.zip]
}

output "webhook_url" {
  description = "Webhook URL of the GitHub App."
  value       = aws_cloudformation_stack.runners.outputs["WebhookUrl"]
}
