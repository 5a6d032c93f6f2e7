import { loadSharedConfigFiles } from '@smithy/shared-ini-file-loader';
import { QsnapError } from '../../../index.js';
import { printableText } from '../../../internal.js';

type Environment = Readonly<Record<string, string | undefined>>;
type Section = Readonly<Record<string, string | undefined>>;

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** How a server of objects is reached, and as whom. */
export interface S3Access {
  /** Undefined: nobody in particular. */
  readonly keys: S3Keys | undefined;
  /** Where the keys are from, or what was looked for. */
  readonly origin: string;
  readonly region: string;
  /** Undefined: that of Amazon for the region. */
  readonly endpoint: string | undefined;
}

/** What a profile may have instead of keys, and what only Amazon's own programs do with it. */
const OTHER_WAYS = [
  ...['credential_process', 'credential_source', 'role_arn', 'sso_session', 'sso_start_url'],
  ...['web_identity_token_file', 'login_session'],
];

/**
 * Access as the environment and Amazon's two files say, in their order: variables, then the profile.
 *
 * @throws QsnapError OPEN_FAILED for a profile that is not there, or that has no keys but a way to get some.
 */
export async function s3Access(location: string, env: Environment): Promise<S3Access> {
  const { profile, files } = await profileIn(location, env);
  const { AWS_REGION, AWS_DEFAULT_REGION } = env;
  const endpoint =
    given(env['AWS_ENDPOINT_URL_S3']) ?? given(env['AWS_ENDPOINT_URL']) ?? profile.endpoint;
  const place = {
    region: given(AWS_REGION) ?? given(AWS_DEFAULT_REGION) ?? profile.region ?? 'us-east-1',
    endpoint: env['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true' ? undefined : endpoint,
  };
  if (/^(yes|true|on|1)$/i.test(env['AWS_NO_SIGN_REQUEST'] ?? '')) {
    return { keys: undefined, origin: 'AWS_NO_SIGN_REQUEST asks for no signature', ...place };
  }
  const ofVariables = keysIn({
    aws_access_key_id: env['AWS_ACCESS_KEY_ID'],
    aws_secret_access_key: env['AWS_SECRET_ACCESS_KEY'],
    aws_session_token: env['AWS_SESSION_TOKEN'],
  });
  if (ofVariables !== undefined) {
    return { keys: ofVariables, origin: 'the keys are those of AWS_ACCESS_KEY_ID', ...place };
  }
  if (profile.keys !== undefined) {
    const origin = `the keys are those of the profile "${profile.name}"`;
    return { keys: profile.keys, origin, ...place };
  }
  const way = OTHER_WAYS.find((name) => profile.section[name] !== undefined);
  if (way !== undefined) {
    throw refusal(location, `the profile "${profile.name}" has no keys but ${way}`, {
      hint: '`aws configure export-credentials --format env` prints variables with keys, which are taken',
    });
  }
  const origin = `no keys were found: neither AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY nor a profile "${profile.name}" with keys in ${files}`;
  return { keys: undefined, origin, ...place };
}

interface Profile {
  readonly name: string;
  readonly section: Section;
  readonly keys: S3Keys | undefined;
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
}

async function profileIn(
  location: string,
  env: Environment,
): Promise<{ readonly profile: Profile; readonly files: string }> {
  const home = given(env['HOME']) ?? '~';
  const filepath = given(env['AWS_SHARED_CREDENTIALS_FILE']) ?? `${home}/.aws/credentials`;
  const configFilepath = given(env['AWS_CONFIG_FILE']) ?? `${home}/.aws/config`;
  const files = `${filepath} or ${configFilepath}`;
  const options = { filepath, configFilepath, ignoreCache: true };
  const { credentialsFile, configFile } = await loadSharedConfigFiles(options);
  const named = given(env['AWS_PROFILE']) ?? given(env['AWS_DEFAULT_PROFILE']);
  const name = named ?? 'default';
  const ofCredentials: Section | undefined = credentialsFile[name];
  const ofConfig: Section | undefined = configFile[name];
  if (named !== undefined && ofCredentials === undefined && ofConfig === undefined) {
    throw refusal(location, `there is no profile "${name}" in ${files}`, {
      hint: 'AWS_PROFILE names it',
    });
  }
  const section = { ...ofConfig, ...ofCredentials };
  const services: Section | undefined = configFile[`services.${section['services'] ?? ''}`];
  return {
    files: printableText(files),
    profile: {
      name: printableText(name),
      section,
      keys: keysIn(section),
      region: given(section['region']),
      endpoint: given(services?.['s3.endpoint_url']) ?? given(section['endpoint_url']),
    },
  };
}

function keysIn(section: Section): S3Keys | undefined {
  const accessKeyId = given(section['aws_access_key_id']);
  const secretAccessKey = given(section['aws_secret_access_key']);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: given(section['aws_session_token']) };
}

/** A variable without a value is one that is not set. */
function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function refusal(location: string, reason: string, details: { hint: string }): QsnapError {
  const message = `Can't open ${printableText(location)}: ${printableText(reason)}`;
  return new QsnapError('OPEN_FAILED', message, { file: location, ...details });
}
