"""What people and tools call things: word lists, and nothing else.

Belongs here: names of vendors, entities, fields as they are met in exports. Does not: rules about them.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _inverted(lists: dict[str, str]) -> dict[str, str]:
    return {word: name for name, said in lists.items() for word in said.split()}


CRM = words("hubspot salesforce pipedrive dynamics zoho zohocrm copper attio freshsales sugarcrm close crm")
HR = words("bamboohr workday personio hibob rippling adp gusto successfactors factorial deel hr hris")
BILLING = words("stripe chargebee recurly zuora paddle quickbooks xero netsuite sap billing finance erp")
DESK = words("zendesk freshdesk intercom front helpscout gorgias jira servicenow kustomer helpdesk support")
ENGAGEMENT = words(
    "mailchimp marketo zendesk intercom aircall amplitude mixpanel segment klaviyo braze pardot iterable freshdesk "
    "front gorgias helpscout twilio dialpad ringcentral outreach salesloft eloqua activecampaign brevo sendgrid "
    "customerio drift posthog heap pendo kustomer gong calendly typeform"
)
VENDORS = CRM | HR | BILLING | DESK | ENGAGEMENT
SHORT = {"sf": "salesforce", "sfdc": "salesforce", "hs": "hubspot", "mc": "mailchimp", "zd": "zendesk"}
TITLES = {
    "hubspot": "HubSpot",
    "bamboohr": "BambooHR",
    "mailchimp": "Mailchimp",
    "quickbooks": "QuickBooks",
    "netsuite": "NetSuite",
}

FIRST_OF = {
    "employee": HR,
    "subscription": BILLING,
    "invoice": BILLING,
    "ticket": DESK,
    "product_usage": frozenset[str](),
}
"""Whose word counts first for an entity; the CRM's for all others."""

ENTITIES = _inverted(
    {
        "contact": "contact person people lead user member subscriber prospect recipient",
        "account": "account company organization organisation org business",
        "deal": "deal opportunity",
        "employee": "employee owner staff worker personnel colleague",
        "subscription": "subscription",
        "ticket": "ticket case",
        "interaction": "event activity interaction call comment engagement meeting conversation",
        "product_usage": "usage",
    }
)
COMPANYISH = words("company domain website industry vat_id tax_id delinquent balance address line1 account_balance")
"""Columns by which a `customer` is a company, not a person."""
HAPPENS = words("event activity call interaction engagement")
"""A stream with one of these words holds events, whatever the other words are."""
JUNCTIONS = words("contact company deal account organization ticket user member")
NOISE = words(
    "data export exports report dump extract extracts full all daily weekly snapshot delta latest table tbl "
    "postgres databricks snowflake bigquery redshift"
)

PREFIXES = ("properties_", "property_", "merge_fields_", "attributes_", "hs_", "custom_fields_", "address_", "cf_")
"""What vendors put before a field's name."""
SYNONYMS = _inverted(
    {
        "email": "email_address emailaddress e_mail mail mail_address primary_email work_email business_email",
        "first_name": "firstname given_name givenname fname forename first",
        "last_name": "lastname surname family_name familyname lname last",
        "full_name": "fullname display_name displayname",
        "phone": "phone_number phonenumber telephone tel work_phone business_phone primary_phone phone_work",
        "mobile_phone": "mobile mobilephone cell cell_phone cellphone mobile_number",
        "job_title": "jobtitle position job_position",
        "street": "address line1 line_1 street_address address1 address_1 address_line_1 address_line1 streetaddress",
        "street_2": "line2 line_2 address2 address_2 address_line_2 address_line2",
        "city": "town locality",
        "postal_code": "zip zipcode zip_code postalcode postcode",
        "subdivision": "state province state_code state_province",
        "country": "country_name",
        "currency": "currency_code currency_iso_code",
        "website": "web_site website_url web homepage",
        "domain": "company_domain domain_name email_domain",
        "headcount": "numberofemployees number_of_employees employee_count employees num_employees",
        "annual_revenue": "annualrevenue",
        "created_at": "createdate created_date createddate created creation_date date_created createdat create_date",
        "name": "dealname companyname company_name organization_name organisation_name",
        "stage": "dealstage stagename stage_name",
        "closes_on": "closedate close_date closing_date",
        "hired_on": "hire_date hiredate start_of_employment",
        "language": "locale lang preferred_language",
        "manager": "reporting_to reports_to supervisor",
        "department": "dept division",
        "tags": "labels",
    }
)
OF_ENTITY = {
    "interaction": _inverted(
        {
            "happened_at": "timestamp started started_at created_at occurred_at event_time event_date start_time time "
            "sent_at activity_date",
            "subject": "ticket_subject campaign_title title",
        }
    ),
    "account": {"details": "description"},
    "contact": {"title": "job_title", "name": "full_name"},
    "employee": {"title": "job_title", "name": "full_name"},
}
"""What a name means in one entity only."""
OTHER_PEOPLE = words("author user lead person recipient member subscriber visitor")
"""Names under which an interaction refers to its contact."""
ABOVE = words("manager parent reporting reports supervisor")
"""Words of columns that refer to another record of the same source."""
PERSONAL = words(
    "email first_name last_name full_name phone mobile_phone fax street street_2 postal_code birthday birth_date "
    "date_of_birth gender salutation middle_name nickname signature ssn salary notes hired_on"
)
PEOPLE = frozenset({"contact", "employee"})

CHANGED = _listed(
    "updated_at lastmodifieddate last_modified_date last_modified_at modified_at last_modified last_updated "
    "last_updated_at last_changed updated modified modified_date modified_on modified_time update_time "
    "updated_date updated_on date_updated date_modified changed_at last_update last_edited last_edited_time "
    "system_modstamp systemmodstamp _fivetran_synced _synced_at fivetran_synced"
)
"""Names of the time of the last change, the best first."""
DELETED = _listed(
    "is_deleted deleted _fivetran_deleted fivetran_deleted _is_deleted deleted_flag archived is_archived trashed"
)
LIVES = _listed("_fivetran_active fivetran_active active is_active")
GONE = words("deleted archived removed trashed")
"""Codes of a status that mean deleted."""
TRUE = words("true t yes y 1")
FALSE = words("false f no n 0")
PAIRS = (
    ("active", "inactive"),
    ("enabled", "disabled"),
    ("on", "off"),
    ("subscribed", "unsubscribed"),
    ("opted in", "opted out"),
    ("ja", "nein"),
    ("oui", "non"),
    ("si", "no"),
    ("wahr", "falsch"),
)
"""Spellings of true and false that are not the usual ones."""
FLAGS = words(
    "is has can opt opted active deleted archived verified consent subscribed unsubscribed suspended "
    "enabled flag livemode"
)
"""A column with one of these words and nothing but 0 and 1 is a boolean."""
CODED = words(
    "status stage type kind role priority tier segment channel action direction category level phase severity gender "
    "plan lifecyclestage leadstatus frequency interval state territory nickname"
)
"""Last words of columns that hold codes."""
PROSE = words(
    "name title description subject city town street address country phone email notes note comment details company "
    "department locale language body text message label currency industry url website domain"
)
"""Last words of columns that hold words, however few are in use."""
MONEY = words("amount price mrr arr revenue balance cost total fee salary value tax subtotal discount budget rate")
IDS = words("id ids uuid guid key number no num nr code sku ref reference token hash zip phone fax")
"""Last words of columns whose digits are a name, not a number."""
