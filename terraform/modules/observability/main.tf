# What must reach somebody although the host is gone or lies: a host's own word comes once a minute as a log line, and its
# absence is the alarm. Prometheus (docs/operate.md) tells the rest.

locals {
  namespace = "Casemate/${var.name}"
  topics    = length(var.alarm_topic_arns) > 0 ? var.alarm_topic_arns : [aws_sns_topic.this[0].arn]

  # One metric filter each, over the lines that deploy/bin/casemate-report writes.
  metrics = {
    units_down = { pattern = "{ $.event = \"report\" }", value = "$.units_down" }
    journal    = { pattern = "{ $.event = \"report\" }", value = "$.journal_free_gib" }
    errors     = { pattern = "{ $.level = \"error\" }", value = "1" }
  }

  alarms = {
    units_down = {
      text      = "A service of the host is down, or the host says nothing any more."
      metric    = "units_down"
      statistic = "Maximum"
      compare   = "GreaterThanThreshold"
      threshold = 0
      periods   = 3
      missing   = "breaching"
    }
    journal = {
      text      = "The journal's volume fills up; when it is full, new orders stop."
      metric    = "journal"
      statistic = "Minimum"
      compare   = "LessThanThreshold"
      threshold = var.least_journal_gib
      periods   = 2
      missing   = "ignore"
    }
    errors = {
      text      = "The host logs errors: a ban by a venue, an order of unknown fate, a fault."
      metric    = "errors"
      statistic = "Sum"
      compare   = "GreaterThanThreshold"
      threshold = 0
      periods   = 1
      missing   = "notBreaching"
    }
  }

  each_metric = { for pair in setproduct(keys(var.groups), keys(local.metrics)) : join("/", pair) => { lease = pair[0], metric = pair[1] } }
  each_alarm  = { for pair in setproduct(keys(var.groups), keys(local.alarms)) : join("/", pair) => { lease = pair[0], alarm = pair[1] } }
}

resource "aws_cloudwatch_log_group" "host" {
  # checkov:skip=CKV_AWS_158: the key is the caller's choice (log_kms_key_arn); no secret is in a log
  for_each = var.groups

  name              = "/casemate/${var.name}/${each.key}"
  retention_in_days = var.retention_in_days
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.each_metric

  name           = "${var.name}-${replace(each.key, "/", "-")}"
  log_group_name = aws_cloudwatch_log_group.host[each.value.lease].name
  pattern        = local.metrics[each.value.metric].pattern

  metric_transformation {
    namespace = local.namespace
    name      = "${each.value.lease}_${each.value.metric}"
    value     = local.metrics[each.value.metric].value
  }
}

resource "aws_cloudwatch_metric_alarm" "log" {
  for_each = local.each_alarm

  alarm_name          = "${var.name}-${replace(each.key, "/", "-")}"
  alarm_description   = local.alarms[each.value.alarm].text
  namespace           = local.namespace
  metric_name         = "${each.value.lease}_${local.alarms[each.value.alarm].metric}"
  statistic           = local.alarms[each.value.alarm].statistic
  comparison_operator = local.alarms[each.value.alarm].compare
  threshold           = local.alarms[each.value.alarm].threshold
  period              = 60
  evaluation_periods  = local.alarms[each.value.alarm].periods
  treat_missing_data  = local.alarms[each.value.alarm].missing
  alarm_actions       = local.topics
  ok_actions          = local.topics
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "instance" {
  for_each = var.groups

  alarm_name          = "${var.name}-${each.key}-instance"
  alarm_description   = "The instance or the machine below it fails its checks."
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed"
  dimensions          = { AutoScalingGroupName = each.value }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 2
  treat_missing_data  = "breaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
  tags                = var.tags
}

# Whoever changes the key's policy can let another image have the credentials: that is told, at once. Needs a CloudTrail
# trail of management events in this region.
resource "aws_cloudwatch_event_rule" "key" {
  name        = "${var.name}-key-changes"
  description = "Somebody changes the key that wraps the exchange credentials."
  tags        = var.tags

  event_pattern = jsonencode({
    source        = ["aws.kms"]
    "detail-type" = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["kms.amazonaws.com"]
      eventName   = ["CreateGrant", "DisableKey", "PutKeyPolicy", "ScheduleKeyDeletion", "UpdateAlias"]
      resources   = { ARN = [var.kms_key_arn] }
    }
  })
}

resource "aws_cloudwatch_event_target" "key" {
  for_each = { for index, topic in local.topics : tostring(index) => topic }

  rule = aws_cloudwatch_event_rule.key.name
  arn  = each.value
}

resource "aws_sns_topic" "this" {
  # checkov:skip=CKV_AWS_26: EventBridge and CloudWatch cannot publish to a topic under AWS's own key; log_kms_key_arn gives it yours
  count = length(var.alarm_topic_arns) > 0 ? 0 : 1

  name              = "${var.name}-alarms"
  kms_master_key_id = var.log_kms_key_arn
  tags              = var.tags
}

data "aws_caller_identity" "this" {}

resource "aws_sns_topic_policy" "this" {
  count = length(var.alarm_topic_arns) > 0 ? 0 : 1

  arn = aws_sns_topic.this[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
      Action    = ["sns:Publish"]
      Resource  = aws_sns_topic.this[0].arn
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })
}
