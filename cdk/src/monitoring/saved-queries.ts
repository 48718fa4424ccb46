import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { DeployedHandlers } from "../handlers/record";
import { Names } from "../names";

/** Functions whose logs the queries read. */
export interface SavedQueriesProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** The functions whose logs are read. */
  readonly handlers: DeployedHandlers;
}

/** Saved queries of Logs Insights, under the deployment's prefix. */
export class SavedQueries extends Construct {
  /** Those that read the log of every function. */
  private readonly ofAll: logs.QueryDefinition[] = [];

  constructor(scope: Construct, id: string, props: SavedQueriesProps) {
    super(scope, id);
    const all = logGroups(props.handlers);
    const cleanup = props.handlers.cleanup.logGroup;
    const verify = props.handlers.verify.logGroup;
    const query = (
      name: string,
      title: string,
      logGroups: logs.ILogGroup[],
      queryString: logs.QueryStringProps,
    ) => {
      const definition = new logs.QueryDefinition(this, name, {
        queryDefinitionName: `${props.names.prefix}/${title}`,
        logGroups,
        queryString: new logs.QueryString(queryString),
      });
      if (logGroups === all) {
        this.ofAll.push(definition);
      }
    };

    query("OneJob", "One job, from the webhook to the end", all, {
      fields: [
        "@timestamp",
        "@log",
        "level",
        "message",
        // Each line has one of them: what failed, why a job is not served, how an attempt ended.
        "coalesce(error, reason, detail, done) as why",
      ],
      // Not by a field: it is one of the span's or of the line's, by function.
      filterStatements: ['@message like "put the job id here"'],
      sort: "@timestamp asc",
    });
    query("Errors", "Errors and warnings", all, {
      fields: ["@timestamp", "@log", "level", "message", "error", "span.repository", "span.job_id"],
      filterStatements: ['level in ["ERROR", "WARN"]'],
      sort: "@timestamp desc",
      limit: 200,
    });
    query("Outcomes", "Runners by outcome", [cleanup], {
      filterStatements: ["ispresent(Outcomes)"],
      statsStatements: ["sum(Outcomes) as runners by Outcome"],
      sort: "runners desc",
    });
    query("Latency", "Queued to started, by hour", [cleanup], {
      filterStatements: ["ispresent(QueuedToStartedSeconds)"],
      statsStatements: [
        "pct(QueuedToStartedSeconds, 50) as half, pct(QueuedToStartedSeconds, 95) as most, max(QueuedToStartedSeconds) as slowest, count(*) as jobs by bin(1h)",
      ],
    });
    query("Cost", "Cost by repository", [cleanup], {
      filterStatements: ["ispresent(EstimatedCost)"],
      statsStatements: ["sum(EstimatedCost) as usd, count(*) as runners by Repository"],
      sort: "usd desc",
    });
    query("Webhooks", "Rejected webhooks", [verify], {
      fields: ["@timestamp", "level", "message", "error"],
      filterStatements: ['level in ["ERROR", "WARN"]'],
      sort: "@timestamp desc",
      limit: 200,
    });
    query("Durations", "Duration, memory and cold starts of the functions", all, {
      filterStatements: ['@type = "REPORT"'],
      statsStatements: [
        "count(*) as calls, count(@initDuration) as cold, pct(@duration, 50) as half, pct(@duration, 99) as slow, max(@maxMemoryUsed / 1048576) as MiB by @log",
      ],
    });
  }
  /** Has the queries of all functions read those that came later. */
  read(handlers: DeployedHandlers): void {
    for (const definition of this.ofAll) {
      const { defaultChild } = definition.node;
      (defaultChild as logs.CfnQueryDefinition).logGroupNames = logGroups(handlers).map(
        ({ logGroupName }) => logGroupName,
      );
    }
  }
}

function logGroups(handlers: DeployedHandlers): logs.ILogGroup[] {
  return Object.values(handlers).map(({ logGroup }) => logGroup);
}
