/** An object of a bucket. */
export interface ListedObject {
  /** `s3://BUCKET/KEY`, as `openSource` takes it. */
  readonly location: string;
  readonly key: string;
  readonly sizeBytes: number;
  /** In its quotes, as answers to requests have it. */
  readonly etag: string;
  readonly lastModified: Date;
}
